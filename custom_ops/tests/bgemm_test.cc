// Single tiles of every ISA, as bgemm.h describes them: rows anywhere, offsets in any order.
#include "kernels/bgemm.h"

#include <gtest/gtest.h>

#include <cstring>

#include "kernels/isa_table.h"
#include "tests/guarded.h"
#include "tests/reference.h"

namespace tfq_test {
namespace {

struct TileCase {
  int num_rows, channels, num_words, planes;
  bool is_ternary;
};

// Runs a tile with float output that is the accumulator itself, and one with packed output.
void ExpectTile(const tfq::Isa& isa, const TileCase& c) {
  SCOPED_TRACE(std::string(isa.name) + " rows " + std::to_string(c.num_rows) + ", channels " +
               std::to_string(c.channels) + ", words " + std::to_string(c.num_words) + ", planes " +
               std::to_string(c.planes) + (c.is_ternary ? ", ternary" : ""));
  std::mt19937 random(c.num_rows * 1000 + c.channels * 10 + c.num_words);
  const int panel = isa.panel_channels;
  // Planes apart by more than a window, rows apart by an odd number of words, offsets shuffled.
  const int plane_stride = 2 * c.num_words + 1, row_stride = c.planes * plane_stride + 3;
  Words image(c.num_rows * row_stride);
  for (uint32_t& word : image) word = random();
  std::vector<int32_t> offsets;
  for (int k = 0; k < c.num_words; ++k) offsets.push_back(2 * k);
  std::shuffle(offsets.begin(), offsets.end(), random);

  Guarded<uint8_t> weights(isa.panel_word_bytes * c.num_words * (c.is_ternary ? 2 : 1));
  Words signs(c.num_words * panel, 0), masks(c.num_words * panel, 0);
  for (int k = 0; k < c.num_words; ++k) {
    for (int n = 0; n < c.channels; ++n) {
      masks[k * panel + n] = c.is_ternary ? random() : ~0u;
      signs[k * panel + n] = random() & masks[k * panel + n];
    }
    isa.pack_panel_word(&signs[k * panel], c.is_ternary ? &masks[k * panel] : nullptr,
                        weights.data() + k * weights.values().size() / c.num_words);
  }
  ASSERT_TRUE(weights.guards_hold());

  Integers pops;
  for (int r = 0; r < c.num_rows; ++r) {
    for (int n = 0; n < c.channels; ++n) {
      int pop = 0;
      for (int p = 0; p < c.planes; ++p) {
        for (int k = 0; k < c.num_words; ++k) {
          const uint32_t a = image[r * row_stride + p * plane_stride + offsets[k]];
          for (int bit = 0; bit < 32; ++bit) {
            const uint32_t product = (a ^ signs[k * panel + n]) & masks[k * panel + n];
            pop += (product >> bit & 1) << p;
          }
        }
      }
      pops.push_back(pop);
    }
  }

  Guarded<uint32_t> rows(image);
  Guarded<int32_t> base(panel);
  Guarded<float> multiplier(panel), bias(panel);
  Guarded<uint32_t> flips(panel / 32);
  for (int n = 0; n < panel; ++n) {
    base.data()[n] = c.num_words * 16 + n;
    multiplier.data()[n] = 1.0f;
    bias.data()[n] = 0.0f;
    flips.data()[n / 32] = random();
  }
  tfq::BgemmTile tile = {};
  tile.num_rows = c.num_rows;
  for (int r = 0; r < c.num_rows; ++r) {
    tile.rows[r] = rows.data() + r * row_stride;
    tile.bases[r] = base.data();
  }
  tile.offsets = offsets.data();
  tile.num_words = c.num_words;
  tile.planes = c.planes;
  tile.plane_stride = plane_stride;
  tile.panel = weights.data();
  tile.is_ternary = c.is_ternary;
  tile.channels = c.channels;
  tile.shift = 1;
  tile.multiplier = multiplier.data();
  tile.bias = bias.data();
  tile.flips = flips.data();

  // Rows of output further apart than the channels: what is between them stays.
  const float untouched = -1.5f;
  tile.type = tfq::OutputType::kFloat;
  tile.output_stride = c.channels + 5;
  Guarded<float> floats((c.num_rows - 1) * tile.output_stride + c.channels);
  std::fill_n(floats.data(), floats.values().size(), untouched);
  tile.output = floats.data();
  isa.bgemm_tile(tile);
  std::vector<float> expected(floats.values().size(), untouched);
  for (int i = 0; i < c.num_rows * c.channels; ++i) {
    const int r = i / c.channels, n = i % c.channels;
    expected[r * tile.output_stride + n] = static_cast<float>(base.data()[n] - 2 * pops[i]);
  }
  ASSERT_EQ(floats.values(), expected);
  ASSERT_TRUE(floats.guards_hold());

  tile.type = tfq::OutputType::kPacked;
  const int words = DivideUp(c.channels, 32);
  tile.output_stride = words + 1;
  Guarded<uint32_t> packed((c.num_rows - 1) * tile.output_stride + words);
  std::fill_n(packed.data(), packed.values().size(), 0xDEADBEEF);
  tile.output = packed.data();
  isa.bgemm_tile(tile);
  Words expected_words(packed.values().size(), 0xDEADBEEF);
  for (int r = 0; r < c.num_rows; ++r) {
    std::fill_n(&expected_words[r * tile.output_stride], words, 0);
    for (int n = 0; n < c.channels; ++n) {
      const bool is_above = pops[r * c.channels + n] > base.data()[n];
      const bool flip = flips.data()[n / 32] >> (n % 32) & 1;
      expected_words[r * tile.output_stride + n / 32] |= uint32_t{is_above != flip} << (n % 32);
    }
  }
  ASSERT_EQ(packed.values(), expected_words);
  ASSERT_TRUE(packed.guards_hold());
}

TEST(Bgemm, TilesOfEverySizeEqualThePlainCounts) {
  for (const tfq::Isa* isa : SupportedIsas()) {
    for (int num_rows = 1; num_rows <= isa->tile_rows; ++num_rows) {
      for (int channels = 1; channels <= isa->panel_channels; channels += 1 + channels / 5) {
        for (bool is_ternary : {false, true}) {
          ExpectTile(*isa, {num_rows, channels, 5, 1, is_ternary});
        }
      }
      ExpectTile(*isa, {num_rows, isa->panel_channels, 5, 2, false});
    }
  }
}

// Where byte counters (7 words of 8 look-ups up to 4; 31 words of 8 bits) are emptied.
TEST(Bgemm, TilesOfEveryLengthEqualThePlainCounts) {
  for (const tfq::Isa* isa : SupportedIsas()) {
    for (int num_words : {1, 2, 6, 7, 8, 13, 14, 15, 30, 31, 32, 61, 62, 63, 64, 127}) {
      for (int planes : {1, 3}) {
        for (bool is_ternary : {false, true}) {
          ExpectTile(*isa, {isa->tile_rows, isa->panel_channels, num_words, planes, is_ternary});
        }
      }
    }
  }
}

}  // namespace
}  // namespace tfq_test
