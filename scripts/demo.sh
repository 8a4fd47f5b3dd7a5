#!/usr/bin/env bash
# From nothing to two fine-tuned models scored per language, ERM and CTC-DRO, and a report on them.
#   bash scripts/demo.sh                             synthetic speech, six languages, six scripts
#   bash scripts/demo.sh --languages 100             a hundred languages (or codes: deu,kat)
#   bash scripts/demo.sh --corpus FOLDER             real speech listed in FOLDER/corpus.tsv
# More options: --updates N, --utterances N (synthetic, in training), --validate-every N,
# --out FOLDER, --seed N. Killed? The same command resumes where it was.
# Makes .venv first, unless a virtual environment with fairseq-dro is active.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
languages=6 corpus= updates= utterances= validate_every= out= seed=1

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --languages | --corpus | --updates | --utterances | --validate-every | --out | --seed)
        [ $# -ge 2 ] || usage
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2
        ;;
    *) usage ;;
    esac
done

# What differs between the three: size, and how often each language can be drawn.
overrides=()
if [ -n "$corpus" ]; then
    corpus=$(cd "$corpus" && pwd) || exit 2
    : "${out:=demo_runs/corpus}" "${updates:=500}" "${validate_every:=125}"
    overrides+=(task.skip_infeasible=true)
elif [[ $languages =~ ^[0-9]+$ ]] && [ "$languages" -gt 20 ]; then
    : "${out:=demo_runs/languages_$languages}" "${updates:=600}" "${validate_every:=150}"
    : "${utterances:=$((30 * languages))}"
    # small batches in rounds: every language is drawn once in $languages updates, so q moves
    overrides+=(task.batch_seconds=8 task.group_sampling=uniform task.skip_infeasible=true)
else
    name=${languages//,/_}
    [[ $languages =~ ^[0-9]+$ ]] && name=languages_$languages
    : "${out:=demo_runs/$name}" "${updates:=500}" "${validate_every:=50}" "${utterances:=1400}"
fi

if [ -n "${VIRTUAL_ENV:-}" ] && [ -x "$VIRTUAL_ENV/bin/fairseq-dro" ]; then
    bin=$VIRTUAL_ENV/bin
else
    bash "$root/scripts/setup_environment.sh"
    bin=$root/.venv/bin
fi
export PYTHONWARNINGS=ignore  # of old calls inside fairseq
mkdir -p "$out"
out=$(cd "$out" && pwd)
started=$SECONDS
say() {
    local seconds=$((SECONDS - started))
    printf '\n[%02d:%02d] %s\n' $((seconds / 60)) $((seconds % 60)) "$*"
}

say "speech"
if [ -n "$corpus" ]; then
    "$bin/fairseq-dro" prepare table "$out/data" --table "$corpus/corpus.tsv"
else
    "$bin/fairseq-dro" prepare espeak "$out/data" --languages "$languages" \
        --utterances "$utterances" --seed "$seed"
fi
"$bin/fairseq-dro" random-checkpoint "$out/random.pt" --seed "$seed"

# Both runs at once, each on half of the cores: a model this small gains little from a second
# thread. fairseq resumes by itself; the marker only saves starting it once it is through.
export OMP_NUM_THREADS=$((($(nproc 2>/dev/null || echo 2) + 1) / 2))
train() { # in the place of this (sub)shell, so that its process is the one to kill
    exec "$bin/fairseq-dro" train demo criterion.objective="$1" task.data="$out/data" \
        model.w2v_path="$out/random.pt" optimization.max_update="$updates" \
        dataset.validate_interval_updates="$validate_every" common.seed="$seed" \
        hydra.run.dir="$out/$1" ${overrides[@]+"${overrides[@]}"}
}
if [ ! -e "$out/trained_$updates" ]; then
    say "training: erm (its output is in $out/erm.log) and ctc_dro (below), $updates updates each"
    train erm >"$out/erm.log" 2>&1 </dev/null &
    erm=$!
    trap 'kill $erm 2>/dev/null || true' EXIT
    (train ctc_dro)
    wait $erm || { tail -n 20 "$out/erm.log" >&2 && exit 1; }
    trap - EXIT
    touch "$out/trained_$updates"
fi

for objective in erm ctc_dro; do
    run=$out/$objective
    if [ ! -e "$run/decode_test/scores.json" ] ||
        [ "$out/trained_$updates" -nt "$run/decode_test/scores.json" ]; then
        say "decoding: $objective, test split"
        "$bin/fairseq-dro" infer "$run/checkpoints/checkpoint_last.pt" --split test \
            common.cpu=true >/dev/null
    fi
done

say "comparison"
"$bin/fairseq-dro" compare "$out/erm" "$out/ctc_dro" --out "$out/comparison" --data "$out/data" \
    --title "ERM and CTC-DRO, $updates updates, seed $seed"

say "report"
"$bin/fairseq-dro" report "$out/ctc_dro" --baseline "$out/erm" --out "$out/report"
say "done in $((SECONDS - started)) s"
