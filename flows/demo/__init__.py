"""What the demos of all systems share: servers, commands as children, steps in the terminal."""
