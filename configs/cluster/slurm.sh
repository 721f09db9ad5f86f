#!/usr/bin/env bash
# Train on several nodes of a Slurm cluster, in one run folder (runs/<experiment>/<job id>) and one W&B run.
#
#     sbatch configs/cluster/slurm.sh --config configs/imagenet_resnet50.yaml --data.root /data/imagenet
#     sbatch --nodes=4 --ntasks-per-node=8 --gpus-per-node=8 configs/cluster/slurm.sh --config ...
#
# Every task is one process with one GPU. Two minutes before the time limit Slurm sends SIGUSR1: the run saves a
# checkpoint, puts the job into the queue again, and goes on in the same folder where it was. The same happens after
#     scancel --signal=USR1 <job id>
#SBATCH --job-name=project
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=1-00:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=slurm-%j.txt
set -euo pipefail
exec srun --kill-on-bad-exit=1 python -m project fit \
  --trainer.num_nodes="$SLURM_NNODES" --trainer.devices="${SLURM_NTASKS_PER_NODE:-1}" --trainer.strategy=ddp \
  --trainer.enable_progress_bar=false "$@"
