"""PyTorch programs that the engine is measured against; nothing else imports PyTorch."""

import os

# Read where PyTorch is first imported. Threads that spin while they wait for one whose core is taken made losses 3 to 7
# times slower on two shared cores; on idle ones it makes no difference.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
