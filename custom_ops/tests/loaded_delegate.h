// The delegate as a runtime loads it: by its two functions, with options as strings.
#ifndef TFQ_TESTS_LOADED_DELEGATE_H_
#define TFQ_TESTS_LOADED_DELEGATE_H_

#include <string>
#include <utility>
#include <vector>

#include "tflite/tfq_delegate.h"

namespace tfq {

using DelegateOptions = std::vector<std::pair<std::string, std::string>>;

class LoadedDelegate {
 public:
  explicit LoadedDelegate(const DelegateOptions& options = {}) {
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : options) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
    Reported().clear();
    delegate_ = tflite_plugin_create_delegate(keys.data(), values.data(), keys.size(),
                                              [](const char* reason) { Reported() = reason; });
    error_ = Reported();
  }
  ~LoadedDelegate() { tflite_plugin_destroy_delegate(delegate_); }
  LoadedDelegate(const LoadedDelegate&) = delete;

  ::TfLiteDelegate* get() const { return delegate_; }
  const std::string& error() const { return error_; }

 private:
  // The function that takes errors has no argument of ours.
  static std::string& Reported() {
    thread_local std::string reported;
    return reported;
  }

  ::TfLiteDelegate* delegate_;
  std::string error_;
};

}  // namespace tfq

#endif  // TFQ_TESTS_LOADED_DELEGATE_H_
