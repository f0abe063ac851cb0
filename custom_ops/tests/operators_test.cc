// What each operator refuses, and in which words.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/delegate_model.h"
#include "tests/fake_runtime.h"
#include "tests/loaded_delegate.h"
#include "tflite/operator.h"

namespace tfq {
namespace {

using Spoil = std::function<void(OperatorModel*)>;

struct Fault {
  const char* reason;
  Spoil spoil;
};

// The error of a model when its tensors are allocated, "" if there is none.
std::string ErrorOf(const OperatorModel& model, const std::vector<uint8_t>& options) {
  const LoadedDelegate delegate;
  FakeRuntime runtime;
  AddModel(model, options, &runtime);
  EXPECT_EQ(runtime.ModifyGraphWithDelegate(delegate.get()), kTfLiteOk);
  const TfLiteStatus status = runtime.AllocateTensors();
  EXPECT_EQ(status == kTfLiteOk, runtime.error().empty()) << runtime.error();
  return runtime.error();
}

std::string ErrorOf(const OperatorModel& model) {
  return ErrorOf(model, FlexbufferWriter().Write(model.options));
}

void ExpectFaults(const OperatorModel& sound, const std::vector<Fault>& faults) {
  ASSERT_EQ(ErrorOf(sound), "");
  for (const Fault& fault : faults) {
    OperatorModel model = sound;
    fault.spoil(&model);
    EXPECT_EQ(ErrorOf(model), sound.name + ": " + fault.reason + ". ");
  }
}

Spoil Set(const char* option, int64_t value) {
  return [=](OperatorModel* model) { model->options[option] = value; };
}

Spoil Shape(int input, const std::vector<int>& shape) {
  return [=](OperatorModel* model) { model->inputs[input].shape = shape; };
}

Spoil Type(int input, int type) {
  return [=](OperatorModel* model) { model->inputs[input].type = type; };
}

Spoil Miss(int input) {
  return [=](OperatorModel* model) { model->inputs[input].is_present = false; };
}

Spoil Output(int type) {
  return [=](OperatorModel* model) { model->output.type = type; };
}

ProductShape Packed() {
  ProductShape shape;
  shape.output_type = kTfLiteInt32;
  return shape;
}

ProductShape Int8() {
  ProductShape shape;
  shape.output_type = kTfLiteInt8;
  return shape;
}

TEST(Operators, AnUnknownVersionNamesTheOneThatIsKnown) {
  ProductShape shape;
  for (OperatorModel model :
       {Bconv2dModel(shape), BdenseModel(shape), BitpackModel(kTfLiteFloat32, {1, 33}, 1),
        BmaxpoolModel({1, 4, 4, 1}, 2, 2, 0), PreluModel({1, 5})}) {
    ExpectFaults(model, {{"version 7 is not known (this library knows 1)", Set("version", 7)},
                         {"version 0 is not known (this library knows 1)", Set("version", 0)}});
  }
}

TEST(Operators, EveryMissingOptionIsNamed) {
  for (const OperatorModel& sound :
       {Bconv2dModel(), BdenseModel(), BitpackModel(kTfLiteFloat32, {1, 33}, 1),
        BmaxpoolModel({1, 4, 4, 1}, 2, 2, 0), PreluModel({1, 5})}) {
    for (const auto& [key, value] : sound.options) {
      OperatorModel model = sound;
      model.options.erase(key);
      EXPECT_EQ(ErrorOf(model), sound.name + ": option `" + key + "` is missing. ");
    }
  }
}

TEST(Operators, OptionsOfAnotherKindAreRefused) {
  const OperatorModel model = PreluModel({1, 5});
  EXPECT_EQ(ErrorOf(model, {}), "TfqPrelu: the options are not a flexbuffer map. ");
  EXPECT_EQ(ErrorOf(model, {1, 2, 3, 4, 5}), "TfqPrelu: the options are not a flexbuffer map. ");
  const auto floats = FlexbufferWriter(4, FlexbufferWriter::kFloat).Write(model.options);
  EXPECT_EQ(ErrorOf(model, floats), "TfqPrelu: option `version` is not an integer. ");
  auto broken = FlexbufferWriter(1).Write(model.options);
  const size_t keys = std::string("high\0low\0version\0", 17).size() + 1;
  broken[keys] = 0xff;  // where the first key is said to begin
  EXPECT_EQ(ErrorOf(model, broken),
            "TfqPrelu: the options are a broken flexbuffer, at `version`. ");
}

TEST(Operators, OptionsOutOfRangeAreRefused) {
  ExpectFaults(Bconv2dModel(),
               {{"option `stride_height` must lie in 1 .. 65536, not -1", Set("stride_height", -1)},
                {"option `dilation_width` must lie in 1 .. 65536, not 0", Set("dilation_width", 0)},
                {"option `kernel_width` must lie in 1 .. 65536, not 1099511627776",
                 Set("kernel_width", int64_t{1} << 40)},
                {"option `padding` must lie in 0 .. 2, not 3", Set("padding", 3)},
                {"option `planes` must lie in 1 .. 4, not 5", Set("planes", 5)},
                {"option `codes` must lie in 0 .. 1, not 2", Set("codes", 2)},
                {"option `zero_point` must lie in -128 .. 127, not 128", Set("zero_point", 128)},
                {"groups must divide the channels", Set("groups", 2)},
                {"values +1 and -1 have one plane", Set("planes", 2)}});
  ExpectFaults(BmaxpoolModel({1, 4, 4, 1}, 2, 2, 0),
               {{"option `padding` must lie in 0 .. 1, not 2", Set("padding", 2)},
                {"option `kernel_height` must lie in 1 .. 65536, not 0", Set("kernel_height", 0)}});
}

TEST(Operators, InputsOfAnotherShapeOrTypeAreRefused) {
  ExpectFaults(
      Bconv2dModel(),
      {{"the input must have rank 4, not 3", Shape(0, {1, 5, 2})},
       {"33 channels in 1 planes are 2 words a position, not 3", Shape(0, {1, 5, 4, 3})},
       {"the input must be int32 words, not float32", Type(0, kTfLiteFloat32)},
       {"the input is of type 7", Type(0, 7)},
       {"the input is missing", Miss(0)},
       {"the input has the impossible shape (1, -5, 4, 2)", Shape(0, {1, -5, 4, 2})},
       {"the input has the impossible shape (2147483647, 2147483647, 2147483647, 2)",
        Shape(0, {INT32_MAX, INT32_MAX, INT32_MAX, 2})},
       {"the input has rank 9", Shape(0, {1, 1, 1, 1, 1, 1, 1, 1, 1})},
       {"the input must have a height and width of at least 1", Shape(0, {1, 0, 4, 2})},
       {"needs 4 to 7 inputs, has 3", [](OperatorModel* model) { model->inputs.resize(3); }},
       {"needs 4 to 7 inputs, has 8",
        [](OperatorModel* model) { model->inputs.push_back(Absent()); }}});
  ExpectFaults(BdenseModel(),
               {{"the input must have rank 1 or more", Shape(0, {})},
                {"33 channels in 1 planes are 2 words a position, not 5", Shape(0, {5})}});
  ExpectFaults(
      BmaxpoolModel({1, 4, 4, 1}, 2, 2, 0),
      {{"the input must have rank 4, not 2", Shape(0, {1, 4})},
       {"input and output must be int32 words, not int8 and int32", Type(0, kTfLiteInt8)},
       {"needs 1 to 1 inputs, has 0", [](OperatorModel* model) { model->inputs.clear(); }}});
  ExpectFaults(BitpackModel(kTfLiteFloat32, {1, 33}, 1),
               {{"the input must have 1 to 16777216 channels", Shape(0, {3, 0})},
                {"the input must have 1 to 16777216 channels", Shape(0, {})},
                {"the input must be float32 or int8, not uint8", Type(0, kTfLiteUInt8)},
                {"the input must be int8, not float32", Set("planes", 2)}});
  ExpectFaults(PreluModel({1, 5}),
               {{"the input must have rank 1 or more", Shape(0, {})},
                {"input and output must be int8, not uint8 and int8", Type(0, kTfLiteUInt8)}});
}

TEST(Operators, AWindowThatIsTooLargeIsRefused) {
  ProductShape valid;
  valid.padding = 0;
  const OperatorModel model = Bconv2dModel(valid);
  EXPECT_EQ(ErrorOf(model), "");
  OperatorModel small = model;
  small.inputs[0].shape = {1, 2, 4, 2};
  EXPECT_NE(ErrorOf(small).find("TfqBconv2d: "), std::string::npos);
  OperatorModel dilated = model;
  dilated.options["dilation_height"] = 65536;
  EXPECT_NE(ErrorOf(dilated).find("TfqBconv2d: "), std::string::npos);
}

TEST(Operators, AFilterThatDoesNotFitIsRefused) {
  // 10 channels out, 3 * 2 * 33 bits in 25 bytes.
  ExpectFaults(
      Bconv2dModel(),
      {{"the filter must have the shape (10, 25), not (10, 24)",
        [](OperatorModel* model) {
          model->inputs[1].shape = {10, 24};
          model->inputs[1].values.resize(240);
        }},
       {"the filter must have rank 2, or 3 if ternary, not 1", Shape(1, {250})},
       {"the filter has 0 output channels", Shape(1, {0, 25})},
       {"the filter must have the shape (2, 10, 25), not (1, 10, 25)", Shape(1, {1, 10, 25})},
       {"the filter must be uint8, not int8", Type(1, kTfLiteInt8)},
       {"the filter is missing", Miss(1)},
       {"the filter has 249 bytes, its shape needs 250",
        [](OperatorModel* model) { model->inputs[1].values.pop_back(); }},
       {"the filter must be a constant of the file",
        [](OperatorModel* model) { model->inputs[1].allocation_type = kTfLiteArenaRw; }},
       {"the filter has set bits behind the 198 of a channel",
        [](OperatorModel* model) { model->inputs[1].values[49] |= 0x80; }}});
  ProductShape ternary;
  ternary.is_ternary = true;
  ExpectFaults(Bconv2dModel(ternary),
               {{"the filter has signs where its mask is clear", [](OperatorModel* model) {
                   model->inputs[1].values[3] = 1;
                   model->inputs[1].values[250 + 3] = 0;
                 }}});
}

TEST(Operators, AnOutputTransformThatDoesNotFitIsRefused) {
  ExpectFaults(Bconv2dModel(),
               {{"the multiplier must have the shape (10), not (9)",
                 [](OperatorModel* model) {
                   model->inputs[2].shape = {9};
                   model->inputs[2].values.resize(36);
                 }},
                {"the multiplier must be float32, not int32", Type(2, kTfLiteInt32)},
                {"the bias must be float32, not uint8", Type(3, kTfLiteUInt8)},
                {"the bias is missing", Miss(3)},
                {"the output must be float32, int8 or words, not uint8", Output(kTfLiteUInt8)},
                {"options `zero_point`, `low` and `high` are for int8 outputs", Set("high", 5)},
                {"the output is of type 10", Output(10)}});
  ProductShape all;
  all.has_limits = all.has_integer_bias = all.has_sum_multiplier = true;
  ExpectFaults(
      Bconv2dModel(all),
      {{"the lower limit must be float32, not int32", Type(4, kTfLiteInt32)},
       {"the upper limit must have the shape (10), not (10, 1)", Shape(5, {10, 1})},
       {"the sum multiplier has 39 bytes, its shape needs 40",
        [](OperatorModel* model) { model->inputs[6].values.pop_back(); }},
       {"the integer bias must lie within +-2^30, not be -2147483648", [](OperatorModel* model) {
          const int32_t lowest = INT32_MIN;
          memcpy(model->inputs[3].values.data() + 8, &lowest, sizeof(lowest));
        }}});
  ExpectFaults(Bconv2dModel(Int8()),
               {{"option `low`, 101, is above `high`, 100", Set("low", 101)}});
}

TEST(Operators, ThresholdsThatDoNotFitAreRefused) {
  ExpectFaults(
      Bconv2dModel(Packed()),
      {{"the thresholds must be int32, not float32", Type(2, kTfLiteFloat32)},
       {"the flips must have the shape (1), not (1, 1)", Shape(3, {1, 1})},
       {"the flips have set bits behind channel 9",
        [](OperatorModel* model) { model->inputs[3].values[3] = 0x80; }},
       {"packed outputs take four inputs",
        [](OperatorModel* model) { model->inputs.push_back(model->inputs[2]); }},
       {"options `zero_point`, `low` and `high` are for int8 outputs", Set("zero_point", 1)}});
  ExpectFaults(BitpackModel(kTfLiteFloat32, {1, 33}, 1),
               {{"the threshold must have the shape (33), not (32)",
                 [](OperatorModel* model) {
                   model->inputs[1].shape = {32};
                   model->inputs[1].values.resize(128);
                 }},
                {"the threshold must have the shape (33), not (1, 33)", Shape(1, {1, 33})},
                {"the threshold must be float32, not int32", Type(1, kTfLiteInt32)},
                {"the threshold is missing", Miss(1)},
                {"the output must be int32 words, not float32", Output(kTfLiteFloat32)}});
  ExpectFaults(BitpackModel(kTfLiteInt8, {1, 33}, 2),
               {{"2 planes take no threshold", [](OperatorModel* model) {
                   model->inputs.push_back(Constant<int32_t>({1}, {0}));
                 }}});
}

TEST(Operators, PreluParametersThatDoNotFitAreRefused) {
  ExpectFaults(
      PreluModel({2, 5}),
      {{"option `low`, 1, is above `high`, 0",
        [](OperatorModel* model) {
          model->options["low"] = 1;
          model->options["high"] = 0;
        }},
       {"the knee must be int32, not float32", Type(1, kTfLiteFloat32)},
       {"the multiplier above is missing", Miss(2)},
       {"the bias above must be float32, not int32", Type(3, kTfLiteInt32)},
       {"the multiplier below must have the shape (5), not (5, 1)", Shape(4, {5, 1})},
       {"the bias below must be a constant of the file",
        [](OperatorModel* model) { model->inputs[5].allocation_type = kTfLiteArenaRw; }},
       {"needs 6 to 6 inputs, has 5", [](OperatorModel* model) { model->inputs.pop_back(); }}});
}

TEST(Operators, AnOutputThatIsTooLargeForTheRuntimeIsRefused) {
  ProductShape shape;
  shape.height = shape.width = 1;
  OperatorModel model = BdenseModel(shape);
  model.inputs[0].shape = {2000000, 2};
  EXPECT_EQ(ErrorOf(model), "TfqBdense: the output cannot have the shape (2000000, 10). ");
}

TEST(Operators, ThresholdsMayBeOneForAllChannels) {
  for (const std::vector<int>& shape : {std::vector<int>{}, std::vector<int>{1}}) {
    OperatorModel model = BitpackModel(kTfLiteFloat32, {2, 33}, 1, /*per_channel=*/false);
    model.inputs[1].shape = shape;
    EXPECT_EQ(ErrorOf(model), "");
  }
}

}  // namespace
}  // namespace tfq
