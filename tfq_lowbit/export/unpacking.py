"""A file with packed filters as int8: the same codes, in the container that LiteRT rounds once.

TensorFlow Lite for Microcontrollers takes int4 filters of convolutions. LiteRT does too, but in a
builtin kernel that rounds twice, so that such a file is verified with its filters unpacked.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfq_lowbit.export.writer import PACKED_TYPES, pack_model
from tfq_lowbit.packing import unpack_codes

CODES = {getattr(schema.TensorType, name): bits for name, bits in PACKED_TYPES.items()}


def unpack_filters(content, operators) -> bytes:
    """Return a .tflite file in which the filters of some operators are int8.

    Args:
        content: the file.
        operators: schema names of the operators.
    """
    if not operators:
        return content
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    wanted = {getattr(schema.BuiltinOperator, name) for name in operators}
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            if model.operatorCodes[operator.opcodeIndex].builtinCode not in wanted:
                continue
            tensor = subgraph.tensors[operator.inputs[1]]
            if tensor.type in CODES:
                data = model.buffers[tensor.buffer].data
                codes = unpack_codes(data, CODES[tensor.type], int(np.prod(tensor.shape)))
                buffer = schema.BufferT()
                buffer.data = np.frombuffer(codes.astype(np.int8).tobytes(), np.uint8)
                tensor.buffer, tensor.type = len(model.buffers), schema.TensorType.INT8
                model.buffers.append(buffer)
    return pack_model(model)
