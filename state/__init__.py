"""The vocabulary that every other layer speaks; imports nothing of ours."""
