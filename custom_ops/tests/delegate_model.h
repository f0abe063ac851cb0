// Models of one custom operator in the fake runtime, sound as they are made and easy to spoil.
#ifndef TFQ_TESTS_DELEGATE_MODEL_H_
#define TFQ_TESTS_DELEGATE_MODEL_H_

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/bitpack.h"
#include "tests/fake_runtime.h"
#include "tests/flexbuffer_writer.h"

namespace tfq {

struct ModelTensor {
  int type;
  int allocation_type;
  std::vector<int> shape;
  std::vector<uint8_t> values;  // of a constant
  bool is_present = true;       // else the input is -1
};

struct OperatorModel {
  std::string name;
  OptionMap options;
  std::vector<ModelTensor> inputs;
  ModelTensor output;
};

template <typename T>
ModelTensor Constant(const std::vector<int>& shape, const std::vector<T>& values) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
  return {kTypeOf<T>, kTfLiteMmapRo, shape, {bytes, bytes + values.size() * sizeof(T)}};
}

inline ModelTensor Variable(int type, const std::vector<int>& shape) {
  return {type, kTfLiteArenaRw, shape, {}};
}

inline ModelTensor Absent() { return {kTfLiteFloat32, kTfLiteArenaRw, {}, {}, false}; }

template <typename T>
std::vector<T> RandomValues(std::mt19937* random, size_t count, T lowest, T highest) {
  std::vector<T> values(count);
  for (T& each : values) {
    each = static_cast<T>(lowest + static_cast<double>((*random)()) / 4294967295.0 *
                                       (static_cast<double>(highest) - lowest));
  }
  return values;
}

// The bits of `count` channels, padding clear.
inline std::vector<uint32_t> RandomWords(std::mt19937* random, int rows, int count) {
  const int words = static_cast<int>(WordsFor(count));
  std::vector<uint32_t> values(static_cast<size_t>(rows) * words);
  for (size_t i = 0; i < values.size(); ++i) {
    const int used = count - static_cast<int>(i % words) * kWordBits;
    const uint32_t mask = used >= kWordBits ? ~0u : (1u << used) - 1;
    values[i] = (*random)() & mask;
  }
  return values;
}

// Rows of `bits` each; with a mask behind them if ternary, the signs of zeros clear.
inline std::vector<uint8_t> RandomFilter(std::mt19937* random, int rows, int bits,
                                         bool is_ternary) {
  const int row_bytes = (bits + 7) / 8;
  const size_t bytes = static_cast<size_t>(rows) * row_bytes;
  std::vector<uint8_t> values(is_ternary ? 2 * bytes : bytes);
  for (size_t i = 0; i < values.size(); ++i) {
    const int used = bits - static_cast<int>(i % row_bytes) * 8;
    values[i] = static_cast<uint8_t>((*random)() & (used >= 8 ? 0xff : (1 << used) - 1));
  }
  for (size_t i = 0; is_ternary && i < bytes; ++i) values[i] &= values[bytes + i];
  return values;
}

struct ProductShape {
  int batch = 1, height = 5, width = 4;
  int channels_in = 33, channels_out = 10, kernel_height = 3, kernel_width = 2;
  int stride = 1, dilation = 1, groups = 1, padding = 1, planes = 1;
  bool has_codes = false, is_ternary = false, has_integer_bias = false, has_limits = false;
  bool has_sum_multiplier = false;
  int output_type = kTfLiteFloat32;
};

// The inputs behind the words, and the options of the output, for convolution and dense layer.
inline void AddProduct(std::mt19937* random, const ProductShape& s, int bits,
                       OperatorModel* model) {
  const int rows = s.channels_out, words = static_cast<int>(WordsFor(rows));
  const int row_bytes = (bits + 7) / 8;
  model->inputs.push_back(
      Constant(s.is_ternary ? std::vector<int>{2, rows, row_bytes} : std::vector{rows, row_bytes},
               RandomFilter(random, rows, bits, s.is_ternary)));
  auto vector_of = [&](float lowest, float highest) {
    return Constant({rows}, RandomValues<float>(random, rows, lowest, highest));
  };
  auto integers = [&] { return Constant({rows}, RandomValues<int32_t>(random, rows, -9, 9)); };
  const bool is_packed = s.output_type == kTfLiteInt32, is_int8 = s.output_type == kTfLiteInt8;
  if (is_packed) {
    model->inputs.push_back(integers());
    model->inputs.push_back(Constant({words}, RandomWords(random, 1, rows)));
  } else {
    model->inputs.push_back(vector_of(-2, 2));
    model->inputs.push_back(s.has_integer_bias ? integers() : vector_of(-2, 2));
    model->inputs.push_back(s.has_limits ? vector_of(-20, -1) : Absent());
    model->inputs.push_back(s.has_limits ? vector_of(1, 20) : Absent());
    model->inputs.push_back(s.has_sum_multiplier ? vector_of(-1, 1) : Absent());
  }
  model->options["version"] = 1;
  model->options["channels_in"] = s.channels_in;
  model->options["planes"] = s.planes;
  model->options["codes"] = s.has_codes;
  model->options["zero_point"] = is_int8 ? -3 : 0;
  model->options["low"] = is_int8 ? -128 : 0;
  model->options["high"] = is_int8 ? 100 : 0;
  model->output = Variable(s.output_type, {});
}

inline OperatorModel Bconv2dModel(const ProductShape& s = {}, unsigned seed = 1) {
  std::mt19937 random(seed);
  const int words = s.planes * static_cast<int>(WordsFor(s.channels_in));
  OperatorModel model;
  model.name = "TfqBconv2d";
  model.inputs = {Variable(kTfLiteInt32, {s.batch, s.height, s.width, words})};
  AddProduct(&random, s, s.kernel_height * s.kernel_width * (s.channels_in / s.groups), &model);
  model.options["kernel_height"] = s.kernel_height;
  model.options["kernel_width"] = s.kernel_width;
  model.options["stride_height"] = model.options["stride_width"] = s.stride;
  model.options["dilation_height"] = model.options["dilation_width"] = s.dilation;
  model.options["groups"] = s.groups;
  model.options["padding"] = s.padding;
  return model;
}

inline OperatorModel BdenseModel(const ProductShape& s = {}, unsigned seed = 1) {
  std::mt19937 random(seed);
  OperatorModel model;
  model.name = "TfqBdense";
  const int words = s.planes * static_cast<int>(WordsFor(s.channels_in));
  model.inputs = {Variable(kTfLiteInt32, {s.batch, words})};
  AddProduct(&random, s, s.channels_in, &model);
  return model;
}

inline OperatorModel BitpackModel(int type, const std::vector<int>& shape, int planes,
                                  bool per_channel = true, unsigned seed = 1) {
  std::mt19937 random(seed);
  OperatorModel model;
  model.name = "TfqBitpack";
  model.inputs = {Variable(type, shape)};
  const int count = per_channel ? shape.back() : 1;
  if (planes == 1 && type == kTfLiteFloat32) {
    model.inputs.push_back(Constant({count}, RandomValues<float>(&random, count, -1, 1)));
  } else if (planes == 1) {
    model.inputs.push_back(Constant({count}, RandomValues<int32_t>(&random, count, -60, 60)));
  }
  model.output = Variable(kTfLiteInt32, {});
  model.options = {{"version", 1}, {"planes", planes}, {"lowest", -8}};
  return model;
}

inline OperatorModel BmaxpoolModel(const std::vector<int>& shape, int kernel, int stride,
                                   int padding) {
  OperatorModel model;
  model.name = "TfqBmaxpool";
  model.inputs = {Variable(kTfLiteInt32, shape)};
  model.output = Variable(kTfLiteInt32, {});
  model.options = {{"version", 1},           {"kernel_height", kernel},
                   {"kernel_width", kernel}, {"stride_height", stride},
                   {"stride_width", stride}, {"padding", padding}};
  return model;
}

inline OperatorModel PreluModel(const std::vector<int>& shape, unsigned seed = 1) {
  std::mt19937 random(seed);
  const int channels = shape.back();
  OperatorModel model;
  model.name = "TfqPrelu";
  model.inputs = {Variable(kTfLiteInt8, shape),
                  Constant({channels}, RandomValues<int32_t>(&random, channels, -60, 60))};
  for (int i = 0; i < 4; ++i) {
    model.inputs.push_back(Constant({channels}, RandomValues<float>(&random, channels, -2, 2)));
  }
  model.output = Variable(kTfLiteInt8, {});
  model.options = {{"version", 1}, {"low", -128}, {"high", 127}};
  return model;
}

// Adds the model's tensors and node; returns the index of the output, the last tensor.
inline int AddModel(const OperatorModel& model, const std::vector<uint8_t>& options,
                    FakeRuntime* runtime) {
  std::vector<int> inputs;
  for (const ModelTensor& each : model.inputs) {
    const bool is_constant = each.allocation_type == kTfLiteMmapRo;
    const int index = is_constant ? runtime->AddConstant(each.type, each.shape, each.values.data(),
                                                         each.values.size())
                                  : runtime->AddTensor(each.type, each.allocation_type, each.shape);
    inputs.push_back(each.is_present ? index : kTfLiteOptionalTensor);
  }
  const int output =
      runtime->AddTensor(model.output.type, model.output.allocation_type, model.output.shape);
  runtime->AddCustomNode(model.name.c_str(), inputs, {output}, options);
  return output;
}

inline int AddModel(const OperatorModel& model, FakeRuntime* runtime) {
  return AddModel(model, FlexbufferWriter().Write(model.options), runtime);
}

}  // namespace tfq

#endif  // TFQ_TESTS_DELEGATE_MODEL_H_
