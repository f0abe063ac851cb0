// What the library was built for. It is read from the file, before the library is loaded: a library
// for another TensorFlow may not even load.

extern "C" __attribute__((visibility("default"), used)) const char tfq_tensorflow_version[] =
    "tfq_ops for TensorFlow " TFQ_TF_VERSION;
