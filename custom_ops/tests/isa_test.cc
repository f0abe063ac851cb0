// The table of instruction sets and how a row is chosen.
#include "kernels/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "kernels/isa_table.h"

namespace tfq_test {
namespace {

TEST(Isa, TheTableEndsInPortableWhichIsAlwaysSupported) {
  int last = 0;
  while (tfq::IsaAt(last + 1) != nullptr) ++last;
  EXPECT_STREQ(tfq::IsaName(*tfq::IsaAt(last)), "portable");
  EXPECT_TRUE(tfq::IsaIsSupported(*tfq::IsaAt(last)));
  EXPECT_EQ(tfq::IsaAt(-1), nullptr);
}

TEST(Isa, NamesAreUniqueAndTheExpectedOnesOfTheArchitecture) {
  std::set<std::string> names;
  int count = 0;
  for (; tfq::IsaAt(count) != nullptr; ++count) names.insert(tfq::IsaName(*tfq::IsaAt(count)));
#if defined(__x86_64__)
  const std::set<std::string> expected = {"avx512", "avx2", "portable"};
#elif defined(__aarch64__)
  const std::set<std::string> expected = {"neon", "portable"};
#else
  const std::set<std::string> expected = {"portable"};
#endif
  EXPECT_EQ(names, expected);
  EXPECT_EQ(count, static_cast<int>(names.size()));
}

TEST(Isa, TheFirstSupportedRowIsTheDefault) {
  int first = 0;
  while (!tfq::IsaIsSupported(*tfq::IsaAt(first))) ++first;
  EXPECT_EQ(tfq::SelectIsa(nullptr), tfq::IsaAt(first));
  EXPECT_EQ(tfq::SelectIsa(""), tfq::IsaAt(first));
}

TEST(Isa, ARowIsChosenByNameIfTheProcessorCanRunIt) {
  for (int i = 0; tfq::IsaAt(i) != nullptr; ++i) {
    const tfq::Isa* isa = tfq::IsaAt(i);
    EXPECT_EQ(tfq::SelectIsa(tfq::IsaName(*isa)), tfq::IsaIsSupported(*isa) ? isa : nullptr);
  }
  EXPECT_EQ(tfq::SelectIsa("AVX2"), nullptr);
  EXPECT_EQ(tfq::SelectIsa("nonsense"), nullptr);
}

TEST(Isa, TheEnvironmentForcesARow) {
  ASSERT_EQ(setenv("TFQ_FORCE_KERNEL", "portable", 1), 0);
  EXPECT_STREQ(tfq::IsaName(*tfq::SelectIsaFromEnvironment()), "portable");
  ASSERT_EQ(setenv("TFQ_FORCE_KERNEL", "nonsense", 1), 0);
  EXPECT_EQ(tfq::SelectIsaFromEnvironment(), nullptr);
  ASSERT_EQ(unsetenv("TFQ_FORCE_KERNEL"), 0);
  EXPECT_EQ(tfq::SelectIsaFromEnvironment(), tfq::SelectIsa(nullptr));
}

TEST(Isa, TilesAndPanelsAreWithinWhatTheDriversReserve) {
  for (int i = 0; tfq::IsaAt(i) != nullptr; ++i) {
    const tfq::Isa& isa = *tfq::IsaAt(i);
    EXPECT_GE(isa.tile_rows, 1) << isa.name;
    EXPECT_LE(isa.tile_rows, tfq::kMaxTileRows) << isa.name;
    EXPECT_GE(isa.panel_channels, 32) << isa.name;
    EXPECT_LE(isa.panel_channels, tfq::kMaxPanelChannels) << isa.name;
    EXPECT_EQ(isa.panel_channels % 32, 0) << isa.name;
    EXPECT_EQ(isa.panel_word_bytes % 64, 0u) << isa.name;
  }
}

}  // namespace
}  // namespace tfq_test
