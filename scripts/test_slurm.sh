#!/usr/bin/env bash
# A real Slurm of two nodes on this machine runs examples/xlsr_dro/slurm/several_nodes.sbatch.
#   apt-get install slurm-wlm munge && bash scripts/test_slurm.sh
# One job runs to its end. Another is requeued after its first checkpoint (SIGTERM), is warned as
# --signal=USR1@120 warns (SIGUSR1), queues itself again, and ends in bitwise the same training
# state. It needs root and .venv (scripts/setup_environment.sh). Slurm's own configuration stays
# untouched. Not part of CI. Seen to pass with Slurm 22.05.8 and torch 2.13.0, in 17 minutes on two
# busy cores.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export PATH=$root/.venv/bin:/usr/sbin:$PATH PYTHONPATH=$root OMP_NUM_THREADS=1
for command in slurmctld slurmd munged fairseq-dro; do
    command -v "$command" >/dev/null || { echo "error: $command is not installed" >&2; exit 2; }
done

work=$(mktemp -d)
chmod 755 "$work"
pids=()
stop() {
    kill "${pids[@]}" 2>/dev/null || true
    wait || true
    if [ "${passed:-}" ]; then rm -rf "$work"; else echo "left for a look: $work" >&2; fi
}
trap stop EXIT

mkdir -m 755 "$work/munge" "$work/state" "$work/spool.n1" "$work/spool.n2"
(umask 077 && head -c 1024 /dev/urandom >"$work/munge/key")
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" \
    --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" >"$work/munge.log" 2>&1 &
pids+=($!)

host=$(hostname -s)
export SLURM_CONF=$work/slurm.conf
cat >"$SLURM_CONF" <<END
ClusterName=two_nodes
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17010
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=5
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool.%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
KillWait=60
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17011 CPUs=1
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17012 CPUs=1
PartitionName=all Nodes=n1,n2 Default=YES State=UP
END
slurmctld -D >"$work/slurmctld.log" 2>&1 &
pids+=($!)
for node in n1 n2; do
    slurmd -D -N "$node" >"$work/slurmd.$node.log" 2>&1 &
    pids+=($!)
done

until_true() { # seconds, what is waited for, command ...
    local seconds=$1 what=$2
    shift 2
    for _ in $(seq $((seconds * 5))); do
        if "$@" >/dev/null 2>&1; then return; fi
        if squeue --noheader --states=FAILED 2>/dev/null | grep -q .; then break; fi
        sleep 0.2
    done
    echo "error: not within $seconds s: $what" >&2
    tail -n 30 "$work"/*.log >&2
    exit 1
}
both_idle() { [ "$(sinfo --noheader --format=%T --states=idle --Node | wc -l)" -eq 2 ]; }
until_true 60 "two idle nodes" both_idle

cd "$work"
python - <<END
from pathlib import Path
from fairseq_dro.demo.random_checkpoint import write_random_checkpoint
from tests.conftest import TINY_SIZES
from tests.tiny_corpus import write_tiny_corpus
write_tiny_corpus(Path("data").resolve())
write_random_checkpoint(Path("tiny.pt"), **TINY_SIZES)
END

submit() { # run folder, port; prints the id of the job
    # nobody can look up n1, which is this machine
    MASTER_ADDR=127.0.0.1 MASTER_PORT=$2 WORKERS_PER_NODE=1 sbatch --parsable --nodes=2 --gpus-per-node=0 \
        --cpus-per-task=1 --mem=0 --output="$1.log" \
        --export=ALL "$root/examples/xlsr_dro/slurm/several_nodes.sbatch" demo \
        task.data=data model.w2v_path=tiny.pt hydra.run.dir="$1" optimization.max_update=120 \
        optimization.update_freq='[2]' checkpoint.save_interval_updates=15 \
        dataset.validate_interval_updates=60 task.batch_seconds=10 \
        distributed_training.distributed_backend=gloo
}
is_in_state() { [ "$(scontrol show job "$1" | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p')" = "$2" ]; }
restarts_of() { scontrol show job "$1" | sed -n 's/.*Restarts=\([0-9]*\).*/\1/p'; }
has_restarted() { [ "$(restarts_of "$1")" -ge "$2" ] && is_in_state "$1" RUNNING; }
saved_after() { [ "$1/checkpoints/checkpoint_last.pt" -nt "$2" ]; }

whole=$(submit whole 29501)
until_true 900 "the end of the job that nobody stops" is_in_state "$whole" COMPLETED

stopped=$(submit stopped 29502)
until_true 300 "a first checkpoint" test -f stopped/checkpoints/checkpoint_last.pt
scontrol requeue "$stopped"
until_true 300 "a second start" has_restarted "$stopped" 1
touch second_start
until_true 300 "a checkpoint of the second start" saved_after stopped second_start
scancel --signal=USR1 "$stopped" # as --signal=USR1@120 does: to the steps, not to the script
until_true 300 "a third start" has_restarted "$stopped" 2
until_true 900 "the end of the third start" is_in_state "$stopped" COMPLETED

grep -h "stopped as asked at update" stopped.log | sed 's/^/    /'
[ "$(grep -c 'stopped as asked at update' stopped.log)" -ge 2 ] || {
    echo "error: the job was not stopped twice: $work/stopped.log" >&2
    exit 1
}
python - <<END
from pathlib import Path
from tests.checkpoints import assert_same_training_state
last = "checkpoints/checkpoint_last.pt"
assert_same_training_state(Path("stopped") / last, Path("whole") / last)
END
passed=yes
echo "requeued at SIGTERM and at SIGUSR1, and the same training state as without"
