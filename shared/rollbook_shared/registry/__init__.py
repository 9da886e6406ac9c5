"""The registry: which channels and workflows a product has, from one TOML file.

    [channels.in_app]
    type = "in_app"

    [channels."182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
    type = "push"
    provider = "fcm"

    [channels.mail]
    type = "email"
    delivery = "smtp"

    [workflows.comment]
    channels = ["in_app", "182bd5e5-6e1a-4fe4-a799-aa6d9a6ab26e"]
    categories = ["social"]

    [events]
    "Order Completed" = "receipt"

A channel has a key, under which users' channel data is kept, and a type, by which preferences allow messages. Without a
file there is one channel, `in_app`, and each workflow uses it. An event is one of Segment's `track` calls, and triggers
a workflow. The messages of a channel with `delivery` leave; those of others are only read.
"""

from rollbook_shared.registry.file import RegistryFile
from rollbook_shared.registry.fingerprint import registry_fingerprint
from rollbook_shared.registry.models import CHANNEL_DATA, Channel, DeliveryMethod, Priority, Registry, Workflow
from rollbook_shared.registry.toml import parse_registry

__all__ = [
    "CHANNEL_DATA",
    "Channel",
    "DeliveryMethod",
    "Priority",
    "Registry",
    "RegistryFile",
    "Workflow",
    "parse_registry",
    "registry_fingerprint",
]
