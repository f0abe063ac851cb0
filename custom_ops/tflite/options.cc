#include "tflite/options.h"

#include "tflite/flexbuffer.h"

namespace tfq {
namespace {

bool ReadInteger(const FlexbufferMap& map, const char* key, int64_t* value, Reason* reason) {
  switch (map.Find(key, value)) {
    case FlexbufferMap::Found::kInteger:
      return true;
    case FlexbufferMap::Found::kNothing:
      return reason->Set("option `%s` is missing", key);
    case FlexbufferMap::Found::kAnotherType:
      return reason->Set("option `%s` is not an integer", key);
    case FlexbufferMap::Found::kBroken:
      break;
  }
  return reason->Set("the options are a broken flexbuffer, at `%s`", key);
}

}  // namespace

bool ReadOptions(const void* bytes, size_t size, const Option* options, size_t count,
                 Reason* reason) {
  FlexbufferMap map;
  if (!map.Open(bytes, size)) return reason->Set("the options are not a flexbuffer map");
  int64_t version;
  if (!ReadInteger(map, "version", &version, reason)) return false;
  if (version != kOperatorVersion) {
    return reason->Set("version %lld is not known (this library knows %d)",
                       static_cast<long long>(version), static_cast<int>(kOperatorVersion));
  }
  for (size_t i = 0; i < count; ++i) {
    const Option& option = options[i];
    int64_t value;
    if (!ReadInteger(map, option.key, &value, reason)) return false;
    if (value < option.lowest || value > option.highest) {
      return reason->Set("option `%s` must lie in %d .. %d, not %lld", option.key,
                         static_cast<int>(option.lowest), static_cast<int>(option.highest),
                         static_cast<long long>(value));
    }
    *option.value = static_cast<int32_t>(value);
  }
  return true;
}

}  // namespace tfq
