"""Pooling to a size that is asked for, as pooling by windows that tile the input."""

from tfq_lowbit.model.rules import refusal


def decompose_adaptive(pool_class):
    """Return the decomposition into a pooling of this class, with as many axes."""

    def decompose(parts):
        layer, (edge,) = parts.call.layer, parts.call.data_inputs
        sizes, wanted = edge.shape[1:-1], layer.output_size
        if None in sizes or any(size % count for size, count in zip(sizes, wanted, strict=True)):
            raise refusal(
                layer, f"its windows must be of one size, and {wanted} does not divide {sizes}"
            )
        window = tuple(size // count for size, count in zip(sizes, wanted, strict=True))
        return parts.add("", lambda **options: pool_class(window, **options), edge)

    return decompose
