// Weights repacked into panels, and the transform's constants by slot.
#include <string.h>

#include "kernels/bconv2d_plan.h"
#include "kernels/bits.h"

namespace tfq {

namespace {

// Takes the plan's arrays from the arena: the one list of them, for counting and for use.
void TakeArrays(Arena* arena, const OutputTransform* transform, Bconv2dPlan* plan) {
  const Bconv2dOptions& o = plan->options;
  const size_t slots = plan->slots;
  plan->panels = arena->Take<uint8_t>(plan->panel_bytes * plan->panels_of_group * o.groups);
  plan->bases = arena->Take<int32_t>(slots);
  // Without a transform at hand: the most that there can be.
  const auto floats = [&](bool is_there) { return is_there ? arena->Take<float>(slots) : nullptr; };
  const bool is_packed = transform != nullptr && transform->type == OutputType::kPacked;
  plan->multiplier = floats(!is_packed);
  plan->bias = floats(!is_packed);
  const bool has_clamp =
      transform == nullptr || transform->lower != nullptr || transform->upper != nullptr;
  plan->lower = floats(!is_packed && has_clamp);
  plan->upper = floats(!is_packed && has_clamp);
  plan->sum_multiplier =
      floats(!is_packed && (transform == nullptr || transform->sum_multiplier != nullptr));
  plan->flips = is_packed ? arena->Take<uint32_t>(slots / kWordBits) : nullptr;
  const size_t corners = static_cast<size_t>(o.kernel_height + 1) * (o.kernel_width + 1);
  plan->tap_sums = plan->has_zero_padding() ? arena->Take<int32_t>(corners * slots) : nullptr;
}

void SetSizes(const Bconv2dOptions& o, const Isa& isa, Bconv2dPlan* plan) {
  plan->options = o;
  plan->isa = &isa;
  plan->shift = o.has_codes ? 0 : 1;
  plan->inputs_of_group = o.channels_in / o.groups;
  plan->outputs_of_group = o.channels_out / o.groups;
  plan->words_of_group = static_cast<int32_t>(WordsFor(plan->inputs_of_group));
  plan->num_words = o.kernel_height * o.kernel_width * plan->words_of_group;
  plan->panels_of_group = CeilDivide(plan->outputs_of_group, isa.panel_channels);
  plan->panel_bytes = isa.panel_word_bytes * plan->num_words * (o.is_ternary ? 2 : 1);
  plan->slots = static_cast<size_t>(o.groups) * plan->panels_of_group * isa.panel_channels;
}

// The bits of a filter, by channel and word of the window.
struct FilterBits {
  const uint8_t* bits;  // channels_out x row_bytes
  size_t row_bytes;

  FilterBits(const Bconv2dPlan& plan, const uint8_t* filter) : bits(filter) {
    const size_t k = static_cast<size_t>(plan.options.kernel_height) * plan.options.kernel_width *
                     plan.inputs_of_group;
    row_bytes = CeilDivide<size_t>(k, 8);
  }

  // Word `word` of tap `tap`: channels 32 * word and on.
  uint32_t Word(const Bconv2dPlan& plan, int32_t channel, int32_t tap, int32_t word) const {
    const int32_t first = word * kWordBits;
    const int32_t rest = plan.inputs_of_group - first;
    const size_t bit = static_cast<size_t>(tap) * plan.inputs_of_group + first;
    return ReadBits(bits + static_cast<size_t>(channel) * row_bytes, bit,
                    rest < kWordBits ? rest : kWordBits);
  }
};

// Packs the panels; sums the weights of every tap into tap_sums[y + 1][x + 1] if there are any, and
// into `sums` (slots) in all; counts those that are not 0 into `counts` (slots).
void PackPanels(const uint8_t* filter, Bconv2dPlan* plan, int32_t* sums, int32_t* counts) {
  const Bconv2dOptions& o = plan->options;
  const FilterBits signs(*plan, filter);
  const FilterBits masks(*plan, filter + signs.row_bytes * static_cast<size_t>(o.channels_out));
  const int channels = plan->isa->panel_channels;
  const size_t word_bytes = plan->isa->panel_word_bytes * (o.is_ternary ? 2 : 1);
  uint32_t sign_words[kMaxPanelChannels], mask_words[kMaxPanelChannels];
  uint8_t* panel_word = plan->panels;
  for (size_t slot = 0; slot < plan->slots; slot += channels) {
    const int32_t panel = static_cast<int32_t>(slot / channels);
    const int32_t group = panel / plan->panels_of_group;
    const int32_t first = panel % plan->panels_of_group * channels;  // of the group
    const int32_t rest = plan->outputs_of_group - first;
    const int32_t used = rest < channels ? rest : channels;
    const int32_t first_channel = group * plan->outputs_of_group + first;
    memset(sign_words, 0, sizeof(sign_words));
    memset(mask_words, 0, sizeof(mask_words));
    for (int32_t tap = 0; tap < o.kernel_height * o.kernel_width; ++tap) {
      const size_t corner = static_cast<size_t>(tap / o.kernel_width + 1) * (o.kernel_width + 1) +
                            tap % o.kernel_width + 1;
      for (int32_t word = 0; word < plan->words_of_group; ++word, panel_word += word_bytes) {
        const bool is_last = word == plan->words_of_group - 1;
        const uint32_t all = is_last ? LastWordMask(plan->inputs_of_group) : ~0u;
        for (int32_t c = 0; c < used; ++c) {
          mask_words[c] = o.is_ternary ? masks.Word(*plan, first_channel + c, tap, word) : all;
          sign_words[c] = signs.Word(*plan, first_channel + c, tap, word) & mask_words[c];
          const int32_t count = CountBits(mask_words[c]);
          const int32_t sum = count - 2 * CountBits(sign_words[c]);
          counts[slot + c] += count;
          sums[slot + c] += sum;
          if (plan->tap_sums != nullptr) plan->tap_sums[corner * plan->slots + slot + c] += sum;
        }
        plan->isa->pack_panel_word(sign_words, o.is_ternary ? mask_words : nullptr, panel_word);
      }
    }
  }
}

// Sums of single taps into sums of all that are above and to the left.
void IntegrateTapSums(Bconv2dPlan* plan) {
  const int32_t width = plan->options.kernel_width + 1;
  for (int32_t y = 1; y <= plan->options.kernel_height; ++y) {
    for (int32_t x = 1; x < width; ++x) {
      int32_t* sums = plan->tap_sums + (static_cast<size_t>(y) * width + x) * plan->slots;
      const int32_t* left = sums - plan->slots;
      const int32_t* above = sums - width * plan->slots;
      const int32_t* above_left = above - plan->slots;
      for (size_t slot = 0; slot < plan->slots; ++slot) {
        sums[slot] += left[slot] + above[slot] - above_left[slot];
      }
    }
  }
}

// Calls visit(slot, channel) for every output channel.
template <typename Visit>
void ForEachSlot(const Bconv2dPlan& plan, Visit visit) {
  const size_t slots_of_group =
      static_cast<size_t>(plan.panels_of_group) * plan.isa->panel_channels;
  for (int32_t channel = 0; channel < plan.options.channels_out; ++channel) {
    visit(channel / plan.outputs_of_group * slots_of_group + channel % plan.outputs_of_group,
          channel);
  }
}

void CopyTransform(const OutputTransform& t, Bconv2dPlan* plan) {
  const auto copy = [&](const float* from, float missing, float* to) {
    if (to == nullptr) return;
    ForEachSlot(*plan, [&](size_t slot, int32_t channel) {
      to[slot] = from == nullptr ? missing : from[channel];
    });
  };
  copy(t.multiplier, 1.0f, plan->multiplier);
  copy(t.bias, 0.0f, plan->bias);
  copy(t.lower, -__builtin_inff(), plan->lower);
  copy(t.upper, __builtin_inff(), plan->upper);
  copy(t.sum_multiplier, 0.0f, plan->sum_multiplier);
  // Whatever a caller gives, the result is an int8.
  const auto to_int8 = [](int32_t x) { return x < -128 ? -128 : x > 127 ? 127 : x; };
  plan->zero_point = to_int8(t.zero_point);
  plan->low = static_cast<float>(to_int8(t.low) - plan->zero_point);
  plan->high = static_cast<float>(to_int8(t.high) - plan->zero_point);
}

// What POP << shift is subtracted from (bgemm.h), without integer bias and threshold. With zero
// padding it lacks the sum of the weights inside the image, which depends on the position.
int64_t BaseOf(const Bconv2dPlan& plan, int32_t sum, int32_t count) {
  if (plan.options.has_codes) return plan.levels() * (int64_t{count} + sum) / 2;
  return plan.tap_sums == nullptr ? count : int64_t{count} - sum;
}

void SetBases(const OutputTransform& transform, const int32_t* sums, const int32_t* counts,
              Bconv2dPlan* plan) {
  ForEachSlot(*plan, [&](size_t slot, int32_t channel) {
    const int64_t bias = transform.integer_bias == nullptr ? 0 : transform.integer_bias[channel];
    // A sum past int32 wraps around, as in the tile.
    plan->bases[slot] = static_cast<int32_t>(BaseOf(*plan, sums[slot], counts[slot]) + bias);
  });
}

void SetLimits(const OutputTransform& transform, const int32_t* sums, const int32_t* counts,
               Bconv2dPlan* plan) {
  // |acc| <= bound: a threshold beyond decides the same as one right there, and the differences
  // fit into int32 (CheckBconv2d).
  const int64_t bound = plan->levels() * plan->options.kernel_height * plan->options.kernel_width *
                        plan->inputs_of_group;
  ForEachSlot(*plan, [&](size_t slot, int32_t channel) {
    int64_t threshold = transform.thresholds[channel];
    threshold = threshold < -bound ? -bound : threshold > bound + 1 ? bound + 1 : threshold;
    const int64_t difference = BaseOf(*plan, sums[slot], counts[slot]) - threshold;
    plan->bases[slot] =
        static_cast<int32_t>(plan->tap_sums == nullptr ? difference >> plan->shift : difference);
    const uint32_t flip = transform.flips[channel / kWordBits] >> (channel % kWordBits) & 1;
    plan->flips[slot / kWordBits] |= flip << (slot % kWordBits);
  });
}

}  // namespace

size_t Bconv2dPlanBytes(const Bconv2dOptions& options, const Isa& isa) {
  Bconv2dPlan plan;
  SetSizes(options, isa, &plan);
  Arena arena(nullptr);
  arena.Take<Bconv2dPlan>(1);
  TakeArrays(&arena, nullptr, &plan);
  arena.Take<int32_t>(2 * plan.slots);  // sums and counts
  return arena.bytes();
}

Bconv2dPlan* Bconv2dPrepare(const Bconv2dOptions& options, const uint8_t* filter,
                            const OutputTransform& transform, const Isa& isa, void* memory) {
  memset(memory, 0, Bconv2dPlanBytes(options, isa));
  Arena arena(memory);
  Bconv2dPlan* plan = arena.Take<Bconv2dPlan>(1);
  SetSizes(options, isa, plan);
  plan->type = transform.type;
  TakeArrays(&arena, &transform, plan);
  int32_t* sums = arena.Take<int32_t>(plan->slots);
  int32_t* counts = arena.Take<int32_t>(plan->slots);

  PackPanels(filter, plan, sums, counts);
  if (plan->tap_sums != nullptr) IntegrateTapSums(plan);

  if (transform.type == OutputType::kPacked) {
    SetLimits(transform, sums, counts, plan);
  } else {
    SetBases(transform, sums, counts, plan);
    CopyTransform(transform, plan);
  }
  return plan;
}

}  // namespace tfq
