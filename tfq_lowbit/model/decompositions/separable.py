"""Separable convolutions: by channel, then by position."""


def decompose_separable(depthwise_class, pointwise_class):
    """Return the decomposition into layers of these classes."""

    def decompose(parts):
        layer, (edge,) = parts.call.layer, parts.call.data_inputs

        def make_depthwise(**options):
            return depthwise_class(
                layer.kernel_size,
                strides=layer.strides,
                padding=layer.padding,
                depth_multiplier=layer.depth_multiplier,
                dilation_rate=layer.dilation_rate,
                use_bias=False,
                depthwise_regularizer=layer.depthwise_regularizer,
                depthwise_constraint=layer.depthwise_constraint,
                **options,
            )

        def make_pointwise(**options):
            return pointwise_class(
                layer.filters,
                1,
                activation=layer.activation,
                use_bias=layer.use_bias,
                kernel_regularizer=layer.pointwise_regularizer,
                bias_regularizer=layer.bias_regularizer,
                kernel_constraint=layer.pointwise_constraint,
                bias_constraint=layer.bias_constraint,
                **options,
            )

        depthwise = parts.add("depthwise", make_depthwise, edge, [layer.depthwise_kernel])
        weights = [layer.pointwise_kernel, *([layer.bias] if layer.use_bias else [])]
        return parts.add("pointwise", make_pointwise, depthwise, weights)

    return decompose
