#!/usr/bin/env bash
# PyAV 18.1.0, Linux wheel, with SVT-AV1 4.1.0: encoding a few AV1 pictures as root, as in most
# containers, leaves the calling thread under the real-time policy SCHED_FIFO at priority 99, the
# highest there is. It stays so when the encoder is closed, and every process started afterwards
# inherits it: data loaders, workers, other tests. Two of them that compute without a pause then
# keep two processors from everything else, the process that should end them included. As another
# user nothing happens, since the kernel refuses.
#
# Seen: "before 0 0", "after 1 99", "child 1 99" (0 is SCHED_OTHER, 1 is SCHED_FIFO).
# What helps: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)) after encoding.
# Exits 0 while it is so, 1 when it has changed, 2 where it cannot be tried (not root, not Linux).
set -euo pipefail
[ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ] || { echo "only root on Linux can try it"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet av==18.1.0 numpy
seen=$("$folder/env/bin/python" - "$folder/x.mp4" 2>"$folder/log" <<'PY'
import os, subprocess, sys
import av, numpy as np

def policy():
    return f"{os.sched_getscheduler(0)} {os.sched_getparam(0).sched_priority}"

print("before", policy())
with av.open(sys.argv[1], "w") as sink:
    stream = sink.add_stream("libsvtav1", rate=25)
    stream.width = stream.height = 128
    stream.pix_fmt = "yuv420p"
    for _ in range(3):
        frame = av.VideoFrame.from_ndarray(np.zeros((128, 128, 3), np.uint8), format="rgb24")
        sink.mux(stream.encode(frame))
    sink.mux(stream.encode())
print("after", policy())
child = "import os; print('child', os.sched_getscheduler(0), os.sched_getparam(0).sched_priority)"
sys.stdout.flush()
subprocess.run([sys.executable, "-c", child], check=True)
PY
)
echo "$seen"
[ "$seen" = $'before 0 0\nafter 1 99\nchild 1 99' ] || { echo "changed"; exit 1; }
