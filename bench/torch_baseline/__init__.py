"""PyTorch programs that the engine is measured against; nothing else imports PyTorch."""
