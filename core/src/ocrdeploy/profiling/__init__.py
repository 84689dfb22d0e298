"""Which tensor shapes pictures come to, which shapes an engine should be built for, and what padding them would cost."""

from ocrdeploy.profiling.summary import Cost, Profile, profile

__all__ = ["Cost", "Profile", "profile"]
