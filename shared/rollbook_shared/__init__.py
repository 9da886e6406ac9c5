"""The contract between those who send jobs and those who apply them."""
