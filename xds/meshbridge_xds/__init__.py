"""Serves services to Envoy and to proxyless gRPC over xDS.

``meshbridge_xds.server``, ``stream``, ``subscription``, ``resources`` and ``offers`` speak the
protocol for any encoder: an outlet of another kind publishes its own
:class:`~meshbridge_xds.offers.Offer`.
"""

from meshbridge_xds.options import XdsOptions
from meshbridge_xds.outlet import Xds

__all__ = ["Xds", "XdsOptions"]
