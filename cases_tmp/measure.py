import sys, time, os, resource, tempfile
sys.path.insert(0, "src/demo_recorder/test")
import numpy as np
from pathlib import Path
from toy_episodes import *
from polytask_demo_recorder.dataset import check_episode, read_episode
from polytask_robot_io.images import to_message
from rclpy.serialization import serialize_message
for w, h, n in ((84, 84, 200), (640, 480, 200), (640, 480, 700)):
    text = TOY.replace("width: 8, height: 6", f"width: {w}, height: {h}")
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        file = EpisodeFile(Path(folder), info(toy(text)), TYPES)
        pics = [serialize_message(to_message(rng.integers(0, 256, (h, w, 3), dtype=np.uint8), stamp(1))) for _ in range(3)]
        for topic, ns, message in episode_messages(n):
            if topic == "/camera/image_raw":
                data = bytearray(pics[ns // PERIOD % 3]); data[4:12] = (ns // 10**9).to_bytes(4, "little") + (ns % 10**9).to_bytes(4, "little"); data = bytes(data)
            else:
                data = serialize_message(message)
            file.write(topic, ns, ns, data)
        file.complete(info(toy(text)).with_end("success", "", {}))
        for _ in range(2):
            began, cpu = time.monotonic(), time.process_time()
            check_episode(file.path, True)
            print(w, h, n, f"{file.path.stat().st_size/1e6:.0f} MB: check {time.monotonic()-began:.2f} s wall, {time.process_time()-cpu:.2f} s cpu; peak RSS {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024:.0f} MB", flush=True)
        file.discard()
