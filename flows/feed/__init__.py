"""The feed as a process: connectors/web put together by the settings. It names no system."""
