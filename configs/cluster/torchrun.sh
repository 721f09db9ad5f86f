#!/usr/bin/env bash
# Train on several machines without a scheduler: run the same line on each, with its number.
#
#     NODES=2 NODE=0 HOST=10.0.0.1 configs/cluster/torchrun.sh --config configs/imagenet_resnet50.yaml
#     NODES=2 NODE=1 HOST=10.0.0.1 configs/cluster/torchrun.sh --config configs/imagenet_resnet50.yaml
#
# HOST is the machine with NODE=0; all see the same files. On one machine alone nothing need be set.
#   DEVICES  processes on each machine, one for each GPU (default: all GPUs, or 1)
#   PORT     on HOST (default 29500)
#   RUN_ID   names the run's folder (default: the local time); the same one again goes on with the run
set -euo pipefail
exec torchrun --nnodes="${NODES:-1}" --node-rank="${NODE:-0}" --nproc-per-node="${DEVICES:-auto}" \
  --master-addr="${HOST:-127.0.0.1}" --master-port="${PORT:-29500}" ${RUN_ID:+--rdzv-id="$RUN_ID"} \
  -m project fit --trainer.num_nodes="${NODES:-1}" --trainer.devices="${DEVICES:-auto}" --trainer.strategy=ddp "$@"
