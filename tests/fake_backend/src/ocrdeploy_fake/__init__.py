"""A backend for ocrdeploy in numpy: the smallest that can do everything, to test with and to start from."""
