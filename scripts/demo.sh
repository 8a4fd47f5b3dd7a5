#!/usr/bin/env bash
# From nothing to fine-tuned models scored per language, compared, and a report on them.
#   bash scripts/demo.sh                     synthetic speech, four languages, one of them left behind
#   bash scripts/demo.sh --whisper           a few updates of Whisper on real speech in four languages
#   bash scripts/demo.sh --languages 100     a hundred synthetic languages (or codes: deu,kat)
#   bash scripts/demo.sh --corpus FOLDER     real speech listed in FOLDER/corpus.tsv, random weights
# More options: --arms A,B (ways of training, below), --updates N, --utterances N (synthetic, in
# training), --validate-every N, --out FOLDER, --seed N. Killed? The same command resumes.
# Makes .venv first, unless a virtual environment with fairseq-dro is active.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
languages=deu,rus,hin,kat corpus= arms= updates= utterances= validate_every= out= seed=1
recipe=demo

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    --whisper) recipe=whisper && shift ;;
    --languages | --corpus | --arms | --updates | --utterances | --validate-every | --out | --seed)
        [ $# -ge 2 ] || usage
        name=${1#--}
        printf -v "${name//-/_}" %s "$2"
        shift 2
        ;;
    *) usage ;;
    esac
done

# Ways of training, the first is the baseline; docs/demo.md says why these.
options_of() {
    case $1 in
    erm) echo criterion.objective=erm ;;
    erm_uniform) echo criterion.objective=erm task.group_sampling=uniform ;;
    ctc_dro) echo criterion.objective=ctc_dro ;;
    ctc_dro_uniform)
        echo criterion.objective=ctc_dro criterion.step_size=0.001 task.group_sampling=uniform ;;
    chi_square_dro)
        echo criterion.objective=chi_square_dro criterion.radius=0.5 \
            criterion.update_when=every_update task.group_sampling=q task.epoch_updates=25 ;;
    *) return 1 ;;
    esac
}

# What differs between the four: size, and how often each language can be drawn.
overrides=() speech=()
untrained= # an arm that is decoded only: the published weights
if [ "$recipe" = whisper ]; then
    corpus=$root/examples/whisper_demo untrained=zero_shot
    : "${out:=demo_runs/whisper}" "${updates:=24}" "${validate_every:=12}"
    : "${arms:=erm,ctc_dro_uniform}"
    overrides+=(common.cpu=true common.fp16=false dataset.num_workers=0 task.batch_seconds=4)
    overrides+=(lr_scheduler.warmup_updates=4 task.valid_utterances_per_language=2)
elif [ -n "$corpus" ]; then
    corpus=$(cd "$corpus" && pwd) || exit 2
    : "${out:=demo_runs/corpus}" "${updates:=500}" "${validate_every:=125}" "${arms:=erm,ctc_dro}"
    overrides+=(task.skip_infeasible=true)
elif [[ $languages =~ ^[0-9]+$ ]] && [ "$languages" -gt 20 ]; then
    : "${out:=demo_runs/languages_$languages}" "${updates:=600}" "${validate_every:=150}"
    : "${utterances:=$((30 * languages))}" "${arms:=erm,ctc_dro}"
    # small batches in rounds: every language is drawn once in $languages updates, so q moves
    overrides+=(task.batch_seconds=8 task.group_sampling=uniform task.skip_infeasible=true)
else
    name=${languages//,/_}
    [[ $languages =~ ^[0-9]+$ ]] && name=languages_$languages
    : "${out:=demo_runs/$name/seed_$seed}" "${updates:=200}" "${validate_every:=50}"
    : "${utterances:=500}" "${arms:=erm,erm_uniform,ctc_dro_uniform}"
    # of the first language six times as much as of the last, which is spoken in loud noise; batches
    # of two utterances, so that 200 updates are some epochs and q can decide on sampling
    speech+=(--spread 6 --noise-db 0 --words 7)
    overrides+=(task.batch_seconds=2)
fi
IFS=, read -r -a arms <<<"$arms"
for arm in "${arms[@]}"; do
    options_of "$arm" >/dev/null || usage
done

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
if [ "$recipe" = whisper ]; then
    "$bin/fairseq-dro" prepare table "$out/data" --table "$corpus/corpus.tsv" \
        --text-profile whisper
elif [ -n "$corpus" ]; then
    "$bin/fairseq-dro" prepare table "$out/data" --table "$corpus/corpus.tsv"
else
    "$bin/fairseq-dro" prepare espeak "$out/data" --languages "$languages" \
        --utterances "$utterances" --seed "$seed" ${speech[@]+"${speech[@]}"}
fi
if [ "$recipe" = whisper ]; then
    weights=$("$bin/python" "$root/scripts/fetch_whisper_base.py")
    overrides+=(model.whisper_path="$weights")
else
    "$bin/fairseq-dro" random-checkpoint "$out/random.pt" --seed "$seed"
    overrides+=(model.w2v_path="$out/random.pt")
fi

# Two runs at once, each on half of the cores: a model this small gains little from a second
# thread. fairseq resumes by itself; the marker only saves starting it once it is through.
export OMP_NUM_THREADS=$((($(nproc 2>/dev/null || echo 2) + 1) / 2))
train() { # in the place of this (sub)shell, so that its process is the one to kill
    # shellcheck disable=SC2046  # options have no spaces
    exec "$bin/fairseq-dro" train "$recipe" $(options_of "$1") task.data="$out/data" \
        optimization.max_update="$updates" dataset.validate_interval_updates="$validate_every" \
        common.seed="$seed" hydra.run.dir="$out/$1" ${overrides[@]+"${overrides[@]}"}
}
todo=()
for arm in "${arms[@]}"; do
    [ -e "$out/$arm/trained_$updates" ] || todo+=("$arm")
done
for ((i = 0; i < ${#todo[@]}; i += 2)); do
    behind=${todo[i]} front=${todo[i + 1]:-}
    say "training: $behind (its output is in $out/$behind.log)${front:+ and $front (below)}," \
        "$updates updates each"
    train "$behind" >"$out/$behind.log" 2>&1 </dev/null &
    pid=$!
    trap 'kill $pid 2>/dev/null || true' EXIT
    if [ -n "$front" ]; then
        (train "$front")
        touch "$out/$front/trained_$updates"
    fi
    wait $pid || { tail -n 20 "$out/$behind.log" >&2 && exit 1; }
    trap - EXIT
    touch "$out/$behind/trained_$updates"
done

decode() { # arm, what infer decodes, its options
    say "decoding: $1, test split"
    "$bin/fairseq-dro" infer "$2" --split test common.cpu=true "${@:3}" >/dev/null
}
if [ -n "$untrained" ] && [ ! -e "$out/$untrained/decode_test/scores.json" ]; then
    decode "$untrained" "$weights" task.data="$out/data" dataset.max_tokens=640000 \
        decoding.results_path="$out/$untrained/decode_test"
fi
runs=(${untrained:+"$out/$untrained"})
for arm in "${arms[@]}"; do
    runs+=("$out/$arm")
    scores=$out/$arm/decode_test/scores.json
    if [ ! -e "$scores" ] || [ "$out/$arm/trained_$updates" -nt "$scores" ]; then
        decode "$arm" "$out/$arm/checkpoints/checkpoint_last.pt"
    fi
done

if [ ${#runs[@]} -gt 1 ]; then
    say "comparison"
    "$bin/fairseq-dro" compare "${runs[@]}" --out "$out/comparison" --data "$out/data" \
        --title "$updates updates, seed $seed"
fi

say "report"
baseline=()
[ ${#arms[@]} -eq 1 ] || baseline=(--baseline "$out/${arms[0]}")
"$bin/fairseq-dro" report "${runs[${#runs[@]} - 1]}" ${baseline[@]+"${baseline[@]}"} \
    --out "$out/report"
say "done in $((SECONDS - started)) s"
