"""Long runs from the command line: killed, they go on; interrupted, they say what there is; loops."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import soundfile
from commands import assert_refused

from jaxst.config import HEARING

# A program that compiles quickly, in two chunks.
FLAGS = ["--style=noise.wav", "--duration=12", "--windows=32", "--hops=16", "--patch_frames=3", "--steps=12"]
FLAGS += ["--sample_rate=4000"]
FLAGS += [f"--{name}=0" for name in HEARING]


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


def test_a_kill_loses_no_chunk_that_was_done_and_changes_nothing(texture, folder, environment):
    whole = texture(*FLAGS, "--output=whole.wav", folder=folder)
    assert whole.status == 0, whole.err
    assert "12.00 s of audio" in whole.out
    assert "2 chunks of 12 steps" in whole.out
    resumed = [*FLAGS, "--output=resumed.wav", "--checkpoint_dir=kept"]
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxst.bin.texture", *resumed],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(folder / "kept" / "chunk-0000.npz", process)
    process.kill()
    process.communicate()
    assert not (folder / "resumed.wav").exists()
    kept = (folder / "kept" / "chunk-0000.npz").stat()
    outcome = texture(*resumed, folder=folder)
    assert outcome.status == 0, outcome.err
    assert (folder / "kept" / "chunk-0000.npz").stat().st_mtime_ns == kept.st_mtime_ns
    assert (folder / "resumed.wav").read_bytes() == (folder / "whole.wav").read_bytes()
    assert_refused(
        texture, [*resumed[:-2], "--output=a.wav", "--checkpoint_dir=kept", "--seed=1"], folder, "another run"
    )


def test_ctrl_c_writes_the_beginning(texture, folder):
    long = [*FLAGS[:1], "--duration=20", *FLAGS[2:], "--output=begun.wav", "--checkpoint_dir=kept", "--steps=40"]
    with ThreadPoolExecutor() as pool:
        running = pool.submit(texture, *long, folder=folder)
        wait_for(folder / "kept" / "chunk-0000.npz", texture.process)
        texture.process.send_signal(signal.SIGINT)
        outcome = running.result()
    assert outcome.status == 130
    assert "interrupted after" in outcome.out
    assert "of 3 chunks of 40 steps" in outcome.out
    assert 4.5 <= soundfile.info(folder / "begun.wav").duration < 20


def test_a_loop_is_as_long_as_asked_for(texture, folder):
    short = [*FLAGS[:1], "--duration=1", *FLAGS[2:], "--output=loop.wav", "--loop"]
    outcome = texture(*short, folder=folder)
    assert outcome.status == 0, outcome.err
    assert soundfile.info(folder / "loop.wav").frames == 4_000
