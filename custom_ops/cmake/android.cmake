# Builds for Android, arm64-v8a, from API level 21.
#
# With ANDROID_NDK_HOME in the environment: by the NDK's own toolchain file. Without: the same C++ by the clang of
# this machine, which has the freestanding headers, with ../android/include for the rest, and linked against
# TFQ_ANDROID_STUBS/libc.so, which holds the names in ../android/libc_symbols.txt (scripts/android makes it).
set(TFQ_SYSTEM_LIBRARIES -lc)
# The first for phones with pages of 16 kB, which load it like the others.
set(TFQ_LINK_OPTIONS -Wl,-z,max-page-size=16384 -Wl,--as-needed -Wl,--strip-all)

if(DEFINED ENV{ANDROID_NDK_HOME})
  set(ANDROID_ABI arm64-v8a)
  set(ANDROID_PLATFORM android-21)
  set(ANDROID_STL none)
  include($ENV{ANDROID_NDK_HOME}/build/cmake/android.toolchain.cmake)
  return()
endif()

set(CMAKE_SYSTEM_NAME Linux)  # "Android" would make CMake look for an NDK
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-android21)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)  # there is no runtime to link a program with
set(CMAKE_HAVE_LIBC_PTHREAD TRUE)  # Android has no library for them
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TFQ_ANDROID_STUBS)

get_filename_component(tfq_android ${CMAKE_CURRENT_LIST_DIR}/../android ABSOLUTE)
set(CMAKE_CXX_FLAGS_INIT "-nostdinc++ -nostdlibinc -isystem ${tfq_android}/include")
set(CMAKE_SHARED_LINKER_FLAGS_INIT
    "-nostdlib -fuse-ld=lld -Qunused-arguments -L${TFQ_ANDROID_STUBS}")
