// Empty until the first real source of this layer.
