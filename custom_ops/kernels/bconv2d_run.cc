// A convolution as tiles of bgemm: rows are output positions, whose windows are read in place at
// offsets that all positions share.
#include "kernels/bconv2d_image.h"
#include "kernels/bconv2d_plan.h"
#include "kernels/bits.h"

namespace tfq {

namespace {

// Returns the padding before and behind one dimension.
int64_t TotalPadding(int64_t input, int64_t output, int32_t kernel, int32_t stride,
                     int32_t dilation) {
  const int64_t padding = (output - 1) * stride + (int64_t{kernel} - 1) * dilation + 1 - input;
  return padding > 0 ? padding : 0;
}

// Numbers the ways in which windows meet the edges of one dimension, in order; equal neighbours
// have one number. `ranges` (one a class) and `class_of` (one an output) may be null. Returns how
// many.
int32_t ClassifyTaps(int32_t outputs, int32_t stride, int32_t pad, int32_t kernel, int32_t dilation,
                     int32_t input, TapRange* ranges, int32_t* class_of) {
  TapRange last = {-1, -1};
  int32_t classes = 0;
  for (int32_t i = 0; i < outputs; ++i) {
    const TapRange range = TapsInside(int64_t{i} * stride - pad, kernel, dilation, input);
    if (!(range == last)) {
      if (ranges != nullptr) ranges[classes] = range;
      ++classes;
    }
    if (class_of != nullptr) class_of[i] = classes - 1;
    last = range;
  }
  return classes;
}

struct Scratch {
  uint32_t* image;   // bconv2d_image.h; null if the input is read in place
  int32_t* offsets;  // num_words: of a window, in an image
  // Values padded by 0, by class of row and of column.
  TapRange *row_ranges, *column_ranges;
  int32_t *row_class, *column_class;  // by output row and column
  int32_t* class_bases;               // row_classes x column_classes x slots
  // With a sum multiplier.
  int32_t *pixel_pops, *window_sums;
  uint32_t* joined;  // rows x groups x words of a group: packed output before its groups are joined
};

size_t TakeScratch(const Bconv2dPlan& plan, const Bconv2dGeometry& g, int32_t batch, void* memory,
                   Scratch* scratch) {
  Arena arena(memory);
  const size_t groups = plan.options.groups;
  const size_t pixels = MultiplySizes(batch, static_cast<size_t>(g.image_height) * g.image_width);
  const size_t rows = MultiplySizes(batch, static_cast<size_t>(g.output_height) * g.output_width);
  *scratch = {};
  if (g.is_copied) scratch->image = arena.Take<uint32_t>(MultiplySizes(pixels, g.image_words));
  scratch->offsets = arena.Take<int32_t>(plan.num_words);
  if (plan.tap_sums != nullptr) {
    scratch->row_ranges = arena.Take<TapRange>(g.row_classes);
    scratch->column_ranges = arena.Take<TapRange>(g.column_classes);
    scratch->row_class = arena.Take<int32_t>(g.output_height);
    scratch->column_class = arena.Take<int32_t>(g.output_width);
    scratch->class_bases = arena.Take<int32_t>(
        MultiplySizes(static_cast<size_t>(g.row_classes) * g.column_classes, plan.slots));
  }
  if (plan.sum_multiplier != nullptr) {
    scratch->pixel_pops = arena.Take<int32_t>(MultiplySizes(pixels, groups));
    scratch->window_sums = arena.Take<int32_t>(MultiplySizes(rows, groups));
  }
  if (plan.has_joined_output()) {
    scratch->joined =
        arena.Take<uint32_t>(MultiplySizes(rows, groups * WordsFor(plan.outputs_of_group)));
  }
  return arena.bytes();
}

void SetOffsets(const Bconv2dPlan& plan, const Bconv2dGeometry& g, int32_t* offsets) {
  const Bconv2dOptions& o = plan.options;
  for (int32_t i = 0; i < o.kernel_height; ++i) {
    for (int32_t j = 0; j < o.kernel_width; ++j) {
      const int32_t pixel = i * o.dilation_height * g.image_width + j * o.dilation_width;
      for (int32_t w = 0; w < plan.words_of_group; ++w) *offsets++ = pixel * g.image_words + w;
    }
  }
}

// The bases of every class: those of the plan and the sum of the weights inside the image.
void SetClassBases(const Bconv2dPlan& plan, const Bconv2dGeometry& g, int32_t height, int32_t width,
                   const Scratch& scratch) {
  const Bconv2dOptions& o = plan.options;
  ClassifyTaps(g.output_height, o.stride_height, g.pad_top, o.kernel_height, o.dilation_height,
               height, scratch.row_ranges, scratch.row_class);
  ClassifyTaps(g.output_width, o.stride_width, g.pad_left, o.kernel_width, o.dilation_width, width,
               scratch.column_ranges, scratch.column_class);
  const int shift = plan.type == OutputType::kPacked ? plan.shift : 0;
  int32_t* bases = scratch.class_bases;
  for (int32_t i = 0; i < g.row_classes; ++i) {
    const TapRange y = scratch.row_ranges[i];
    for (int32_t j = 0; j < g.column_classes; ++j, bases += plan.slots) {
      const TapRange x = scratch.column_ranges[j];
      const auto sums_before = [&](int32_t tap_y, int32_t tap_x) {
        return plan.tap_sums + (size_t{1} * tap_y * (o.kernel_width + 1) + tap_x) * plan.slots;
      };
      const int32_t* all = sums_before(y.last, x.last);
      const int32_t* above = sums_before(y.first, x.last);
      const int32_t* left = sums_before(y.last, x.first);
      const int32_t* above_left = sums_before(y.first, x.first);
      for (size_t s = 0; s < plan.slots; ++s) {
        const int32_t inside = all[s] - above[s] - left[s] + above_left[s];
        // Unsigned: an integer bias may wrap around.
        bases[s] = static_cast<int32_t>(static_cast<uint32_t>(plan.bases[s]) +
                                        static_cast<uint32_t>(inside)) >>
                   shift;
      }
    }
  }
}

// Walks over output positions in order.
struct Position {
  int32_t image, y, x;
  int64_t word;  // where the window begins in the image
  int64_t step;  // from a window to the next in its row

  Position(const Bconv2dOptions& o, const Bconv2dGeometry& g, int64_t row)
      : image(static_cast<int32_t>(row / g.output_width / g.output_height)),
        y(static_cast<int32_t>(row / g.output_width % g.output_height)),
        x(static_cast<int32_t>(row % g.output_width)),
        step(int64_t{o.stride_width} * g.image_words) {
    word = WordOfRow(o, g) + x * step;
  }

  void Advance(const Bconv2dOptions& o, const Bconv2dGeometry& g) {
    word += step;
    if (++x < g.output_width) return;
    x = 0;
    if (++y == g.output_height) {
      y = 0;
      ++image;
    }
    word = WordOfRow(o, g);
  }

 private:
  int64_t WordOfRow(const Bconv2dOptions& o, const Bconv2dGeometry& g) const {
    const int64_t row = int64_t{image} * g.image_height + int64_t{y} * o.stride_height;
    return row * g.image_width * g.image_words;
  }
};

// One run of the convolution: what its tiles share.
struct Run {
  const Bconv2dPlan& plan;
  const Bconv2dGeometry& geometry;
  const Scratch& scratch;
  const uint32_t* image;
  void* output;
  int64_t num_rows;  // output positions

  int64_t num_row_tiles() const { return CeilDivide<int64_t>(num_rows, plan.isa->tile_rows); }

  int64_t num_tiles() const { return num_row_tiles() * plan.panels_of_group * plan.options.groups; }

  size_t output_stride() const {
    return plan.type == OutputType::kPacked ? plan.options.groups * WordsFor(plan.outputs_of_group)
                                            : plan.options.channels_out;
  }

  // What all rows of a panel share.
  void SetPanel(int64_t panel, BgemmTile* tile) const {
    const int32_t channels = plan.isa->panel_channels;
    const int64_t slot = panel * channels;
    const int32_t first = static_cast<int32_t>(panel % plan.panels_of_group) * channels;
    const int32_t rest = plan.outputs_of_group - first;
    tile->channels = rest < channels ? rest : channels;
    tile->panel = plan.panels + panel * plan.panel_bytes;
    for (const int32_t*& bases : tile->bases) bases = plan.bases + slot;
    if (plan.type == OutputType::kPacked) {
      tile->flips = plan.flips + slot / kWordBits;
      return;
    }
    const auto at_slot = [&](const float* array) {
      return array == nullptr ? nullptr : array + slot;
    };
    tile->multiplier = at_slot(plan.multiplier);
    tile->bias = at_slot(plan.bias);
    tile->lower = at_slot(plan.lower);
    tile->upper = at_slot(plan.upper);
    tile->sum_multiplier = at_slot(plan.sum_multiplier);
  }

  size_t element_bytes() const { return plan.type == OutputType::kInt8 ? 1 : 4; }

  // Where a panel's outputs of a row begin.
  uint8_t* OutputOf(int64_t panel, int64_t row) const {
    const size_t group = panel / plan.panels_of_group;
    size_t of_group = plan.outputs_of_group;
    size_t first = static_cast<size_t>(panel % plan.panels_of_group) * plan.isa->panel_channels;
    if (plan.type == OutputType::kPacked) {
      of_group = WordsFor(of_group);
      first /= kWordBits;
    }
    auto* begin = static_cast<uint8_t*>(scratch.joined != nullptr ? scratch.joined : output);
    return begin + (row * output_stride() + group * of_group + first) * element_bytes();
  }

  // Tiles in the order of panels, then of rows, so that a panel stays in the cache.
  void RunTiles(int64_t begin, int64_t end) const {
    const Bconv2dOptions& o = plan.options;
    BgemmTile tile = {};
    tile.offsets = scratch.offsets;
    tile.num_words = plan.num_words;
    tile.planes = o.planes;
    tile.plane_stride = o.groups * plan.words_of_group;
    tile.is_ternary = o.is_ternary;
    tile.type = plan.type;
    tile.shift = plan.shift;
    tile.low = plan.low;
    tile.high = plan.high;
    tile.zero_point = plan.zero_point;
    tile.output_stride = output_stride();
    while (begin < end) {
      const int64_t panel = begin / num_row_tiles();
      const int64_t first = begin % num_row_tiles();
      const int64_t rest = num_row_tiles() - first;
      const int64_t count = end - begin < rest ? end - begin : rest;
      SetPanel(panel, &tile);
      RunPanel(panel, first, first + count, &tile);
      begin += count;
    }
  }

  void RunPanel(int64_t panel, int64_t begin, int64_t end, BgemmTile* tile) const {
    const int64_t group = panel / plan.panels_of_group;
    const int64_t slot = panel * plan.isa->panel_channels;
    const int64_t tile_rows = plan.isa->tile_rows;
    const uint32_t* group_image = image + group * plan.words_of_group;
    int64_t row = begin * tile_rows;
    const int64_t end_row = end * tile_rows < num_rows ? end * tile_rows : num_rows;
    uint8_t* to = OutputOf(panel, row);
    const size_t tile_bytes = tile_rows * output_stride() * element_bytes();
    Position position(plan.options, geometry, row);
    for (; row < end_row; row += tile_rows, to += tile_bytes) {
      const int64_t rest = end_row - row;
      tile->num_rows = static_cast<int>(rest < tile_rows ? rest : tile_rows);
      for (int r = 0; r < tile->num_rows; ++r, position.Advance(plan.options, geometry)) {
        tile->rows[r] = group_image + position.word;
        if (scratch.class_bases != nullptr) {
          const int64_t edge = int64_t{scratch.row_class[position.y]} * geometry.column_classes +
                               scratch.column_class[position.x];
          tile->bases[r] = scratch.class_bases + edge * plan.slots + slot;
        }
        if (scratch.window_sums != nullptr) {
          const int64_t sum = (row + r) * plan.options.groups + group;
          tile->window_sums[r] = static_cast<float>(scratch.window_sums[sum]);
        }
      }
      tile->output = to;
      plan.isa->bgemm_tile(*tile);
    }
  }

  // Moves the words of the groups of rows together.
  void JoinGroups(int64_t begin, int64_t end) const {
    const Bconv2dOptions& o = plan.options;
    const size_t words = WordsFor(o.channels_out);
    const uint32_t* from = scratch.joined + begin * output_stride();
    for (int64_t row = begin; row < end; ++row) {
      uint32_t* to = static_cast<uint32_t*>(output) + row * words;
      for (size_t w = 0; w < words; ++w) to[w] = 0;
      for (int32_t group = 0; group < o.groups; ++group) {
        const size_t first = static_cast<size_t>(group) * plan.outputs_of_group;
        for (int32_t c = 0; c < plan.outputs_of_group; c += kWordBits) {
          const int32_t rest = plan.outputs_of_group - c;
          SetBits(to, first + c, rest < kWordBits ? rest : kWordBits, *from++);
        }
      }
    }
  }
};

}  // namespace

bool GetGeometry(const Bconv2dPlan& plan, int32_t batch, int32_t height, int32_t width,
                 Bconv2dGeometry* g) {
  const Bconv2dOptions& o = plan.options;
  if (batch < 0) return false;
  if (Bconv2dOutputSize(o, height, width, &g->output_height, &g->output_width) != nullptr) {
    return false;
  }
  int64_t pad_height = 0, pad_width = 0;
  if (o.padding != Padding::kValid) {
    pad_height =
        TotalPadding(height, g->output_height, o.kernel_height, o.stride_height, o.dilation_height);
    pad_width =
        TotalPadding(width, g->output_width, o.kernel_width, o.stride_width, o.dilation_width);
  }
  const size_t words = MultiplySizes(size_t{1} * o.planes * o.groups, plan.words_of_group);
  const size_t image = MultiplySizes(MultiplySizes(height + pad_height, width + pad_width), words);
  const size_t rows = MultiplySizes(batch, int64_t{g->output_height} * g->output_width);
  if (image > INT32_MAX || rows > INT32_MAX) return false;
  g->pad_top = static_cast<int32_t>(pad_height / 2);
  g->pad_left = static_cast<int32_t>(pad_width / 2);
  g->image_height = static_cast<int32_t>(height + pad_height);
  g->image_width = static_cast<int32_t>(width + pad_width);
  g->image_words = static_cast<int32_t>(words);
  g->is_copied = pad_height > 0 || pad_width > 0 || plan.has_split_words();
  g->row_classes = g->column_classes = 0;
  if (plan.tap_sums != nullptr) {
    g->row_classes = ClassifyTaps(g->output_height, o.stride_height, g->pad_top, o.kernel_height,
                                  o.dilation_height, height, nullptr, nullptr);
    g->column_classes = ClassifyTaps(g->output_width, o.stride_width, g->pad_left, o.kernel_width,
                                     o.dilation_width, width, nullptr, nullptr);
  }
  return true;
}

size_t Bconv2dScratchBytes(const Bconv2dPlan& plan, int32_t batch, int32_t height, int32_t width,
                           int /*num_threads*/) {
  Bconv2dGeometry geometry;
  if (!GetGeometry(plan, batch, height, width, &geometry)) return SIZE_MAX;
  Scratch scratch;
  return TakeScratch(plan, geometry, batch, nullptr, &scratch);
}

void Bconv2dRun(const Bconv2dPlan& plan, const uint32_t* words, int32_t batch, int32_t height,
                int32_t width, void* output, void* memory, const Parallel& parallel) {
  Bconv2dGeometry g;
  if (batch == 0 || !GetGeometry(plan, batch, height, width, &g)) return;
  Scratch scratch;
  TakeScratch(plan, g, batch, memory, &scratch);
  SetOffsets(plan, g, scratch.offsets);
  const uint32_t* image = words;
  if (g.is_copied) {
    CopyImage(plan, g, words, batch, height, width, scratch.image, parallel);
    image = scratch.image;
  }
  if (scratch.class_bases != nullptr) SetClassBases(plan, g, height, width, scratch);
  if (scratch.window_sums != nullptr) {
    SumWindows(plan, g, image, batch, height, width, scratch.pixel_pops, scratch.window_sums,
               parallel);
  }
  const int64_t rows = int64_t{batch} * g.output_height * g.output_width;
  const Run run = {plan, g, scratch, image, output, rows};
  ForRanges(parallel, run.num_tiles(), 1,
            [&](int64_t begin, int64_t end) { run.RunTiles(begin, end); });
  if (scratch.joined != nullptr) {
    ForRanges(parallel, rows, 1 << 10,
              [&](int64_t begin, int64_t end) { run.JoinGroups(begin, end); });
  }
}

}  // namespace tfq
