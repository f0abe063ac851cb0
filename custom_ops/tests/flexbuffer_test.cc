#include "tflite/flexbuffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/flexbuffer_writer.h"

namespace tfq {
namespace {

using Found = FlexbufferMap::Found;

constexpr int kWidths[] = {1, 2, 4, 8};

// What a reader says about bytes, in one string.
std::string Read(const uint8_t* bytes, size_t size) {
  FlexbufferMap map;
  if (!map.Open(bytes, size)) return "no map";
  std::string said;
  for (const char* key : {"version", "groups", "other"}) {
    int64_t value = 0;
    said += std::to_string(static_cast<int>(map.Find(key, &value))) + ":";
    said += std::to_string(value) + " ";
  }
  return said;
}

// The same bytes are read between zeros, between ones, and where the memory ends (which the address
// sanitizer watches): a reader that looks outside says different things.
void ExpectNothingElseIsRead(const std::vector<uint8_t>& bytes) {
  constexpr size_t kGuard = 300;
  const auto tight = std::make_unique<uint8_t[]>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), tight.get());
  const std::string said = Read(tight.get(), bytes.size());
  for (uint8_t filling : {0x00, 0xff}) {
    std::vector<uint8_t> guarded(bytes.size() + 2 * kGuard, filling);
    std::copy(bytes.begin(), bytes.end(), guarded.begin() + kGuard);
    EXPECT_EQ(Read(guarded.data() + kGuard, bytes.size()), said);
  }
}

TEST(Flexbuffer, IntegersOfEveryWidthAreRead) {
  for (int width : kWidths) {
    const int64_t highest = INT64_MAX >> (64 - 8 * width);
    const OptionMap options = {{"a", -1}, {"low", -highest - 1}, {"high", highest}, {"z", 0}};
    const auto bytes = FlexbufferWriter(width).Write(options);
    FlexbufferMap map;
    ASSERT_TRUE(map.Open(bytes.data(), bytes.size())) << width;
    for (const auto& [key, value] : options) {
      int64_t found = 77;
      EXPECT_EQ(map.Find(key.c_str(), &found), Found::kInteger) << width << key;
      EXPECT_EQ(found, value) << width << key;
    }
  }
}

TEST(Flexbuffer, UnsignedAndIndirectIntegersAreRead) {
  for (int kind :
       {FlexbufferWriter::kUint, FlexbufferWriter::kIndirectInt, FlexbufferWriter::kIndirectUint}) {
    for (int width : kWidths) {
      const auto bytes = FlexbufferWriter(8, kind, width).Write({{"key", 99}});
      FlexbufferMap map;
      ASSERT_TRUE(map.Open(bytes.data(), bytes.size()));
      int64_t found;
      EXPECT_EQ(map.Find("key", &found), Found::kInteger);
      EXPECT_EQ(found, 99);
    }
  }
}

TEST(Flexbuffer, IndirectSignedIntegersKeepTheirSign) {
  const auto bytes = FlexbufferWriter(4, FlexbufferWriter::kIndirectInt, 2).Write({{"key", -300}});
  FlexbufferMap map;
  ASSERT_TRUE(map.Open(bytes.data(), bytes.size()));
  int64_t found;
  EXPECT_EQ(map.Find("key", &found), Found::kInteger);
  EXPECT_EQ(found, -300);
}

TEST(Flexbuffer, AnUnsignedBeyondSixtyThreeBitsCountsAsTheHighest) {
  const auto bytes = FlexbufferWriter(8, FlexbufferWriter::kUint).Write({{"key", -1}});
  FlexbufferMap map;
  ASSERT_TRUE(map.Open(bytes.data(), bytes.size()));
  int64_t found;
  EXPECT_EQ(map.Find("key", &found), Found::kInteger);
  EXPECT_EQ(found, INT64_MAX);
}

TEST(Flexbuffer, AKeyThatIsNotThereIsNotFoundAndNoPrefixIsTakenForIt) {
  const auto bytes = FlexbufferWriter(2).Write({{"stride_height", 1}, {"stride", 2}});
  FlexbufferMap map;
  ASSERT_TRUE(map.Open(bytes.data(), bytes.size()));
  int64_t found;
  EXPECT_EQ(map.Find("strid", &found), Found::kNothing);
  EXPECT_EQ(map.Find("stride_height_", &found), Found::kNothing);
  EXPECT_EQ(map.Find("", &found), Found::kNothing);
  EXPECT_EQ(map.Find("stride", &found), Found::kInteger);
  EXPECT_EQ(found, 2);
}

TEST(Flexbuffer, AnotherTypeIsSaid) {
  const auto bytes = FlexbufferWriter(4, FlexbufferWriter::kFloat).Write({{"key", 1}});
  FlexbufferMap map;
  ASSERT_TRUE(map.Open(bytes.data(), bytes.size()));
  int64_t found;
  EXPECT_EQ(map.Find("key", &found), Found::kAnotherType);
}

TEST(Flexbuffer, WhatPythonWritesIsRead) {
  // flatbuffers.flexbuffers.Dumps({"a": 1, "b": -300, "c": 70000})
  const uint8_t bytes[] = {'a',  0,    'b',  0,    'c', 0,  3, 7, 6, 5, 0, 0,  5,  0,
                           0,    0,    1,    0,    0,   0,  3, 0, 0, 0, 1, 0,  0,  0,
                           0xd4, 0xfe, 0xff, 0xff, 112, 17, 1, 0, 6, 6, 6, 15, 38, 1};
  FlexbufferMap map;
  ASSERT_TRUE(map.Open(bytes, sizeof(bytes)));
  int64_t found;
  for (const auto& [key, value] : OptionMap{{"a", 1}, {"b", -300}, {"c", 70000}}) {
    ASSERT_EQ(map.Find(key.c_str(), &found), Found::kInteger) << key;
    EXPECT_EQ(found, value);
  }
}

TEST(Flexbuffer, BytesThatAreNoMapAreRefused) {
  FlexbufferMap map;
  EXPECT_FALSE(map.Open(nullptr, 0));
  EXPECT_FALSE(map.Open(nullptr, 5));
  const auto bytes = FlexbufferWriter().Write({});
  EXPECT_TRUE(map.Open(bytes.data(), bytes.size()));
  EXPECT_FALSE(map.Open(bytes.data(), 2));
  const uint8_t number[] = {7, 4, 1};  // a root that is an integer
  EXPECT_FALSE(map.Open(number, sizeof(number)));
}

TEST(Flexbuffer, APieceOfAMapIsNeverReadBeyondItsEnds) {
  for (int width : kWidths) {
    const auto bytes = FlexbufferWriter(width).Write({{"version", 1}, {"groups", 2}});
    for (size_t size = 0; size <= bytes.size(); ++size) {
      ExpectNothingElseIsRead({bytes.begin(), bytes.begin() + size});
      ExpectNothingElseIsRead({bytes.end() - size, bytes.end()});
    }
  }
}

TEST(Flexbuffer, NoByteOfAMapLeadsBeyondItsEnds) {
  for (int width : kWidths) {
    const auto bytes = FlexbufferWriter(width).Write({{"version", 1}, {"groups", 2}});
    for (size_t at = 0; at < bytes.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        auto changed = bytes;
        changed[at] = static_cast<uint8_t>(value);
        ExpectNothingElseIsRead(changed);
      }
    }
  }
}

}  // namespace
}  // namespace tfq
