"""All scenarios by name: a function that takes a kit.rig.Rig and returns, or raises Failed."""

from . import audit, headlamp, kit_check, mirror, model, traps

SCENARIOS = mirror.SCENARIOS | audit.SCENARIOS | traps.SCENARIOS | kit_check.SCENARIOS | model.SCENARIOS | headlamp.SCENARIOS
