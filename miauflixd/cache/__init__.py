"""What is kept of downloads, and what goes when there is no more room."""
