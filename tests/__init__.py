"""What must hold, each test named as a sentence."""
