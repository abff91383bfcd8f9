"""Where runs stand, what the machine has left; without TensorFlow, so that asking is cheap."""
