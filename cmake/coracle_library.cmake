# coracle_library(NAME SOURCES ... USES ...): one layer. Its private headers stay beside its .cc
# files, its public ones are in include/coracle/NAME.
function(coracle_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
  add_library(coracle_${name} STATIC ${arg_SOURCES})
  target_include_directories(coracle_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include)
  # For "x.h" only: a private seccomp.h must not stand in for libseccomp's <seccomp.h>.
  target_compile_options(coracle_${name} PRIVATE "SHELL:-iquote ${CMAKE_CURRENT_SOURCE_DIR}")
  target_link_libraries(coracle_${name} PUBLIC ${arg_USES})
endfunction()

# coracle_test(LAYER SOURCES ... USES ...): the unit tests of one layer as one program.
function(coracle_test layer)
  cmake_parse_arguments(arg "" "" "SOURCES;USES" ${ARGN})
  add_executable(${layer}_test ${arg_SOURCES})
  target_include_directories(${layer}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_options(${layer}_test PRIVATE "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src/${layer}")
  target_link_libraries(${layer}_test PRIVATE coracle_${layer} ${arg_USES} GTest::gtest_main)
  add_test(NAME ${layer}_test COMMAND ${layer}_test)
  # GTEST_SKIP prints "[  SKIPPED ]" with its reason: the summary of `make test` lists them.
  set_tests_properties(${layer}_test PROPERTIES TIMEOUT 300)
endfunction()

# For the libraries of `coracle` and coracle-shim, which live for milliseconds, or once for every
# container: fewer pages to map and to keep. First in the folder's list; holds for what is below.
macro(coracle_small_code)
  add_compile_options($<$<CONFIG:Release>:-Os>)
endmacro()

# A program that links everything but the kernel statically: starting it costs no dynamic loading.
function(coracle_static_program target)
  if(CORACLE_STATIC)
    target_link_options(${target} PRIVATE -static)
  endif()
endfunction()

# g++ 12 sees overflows and unset members inside its own std::string at -O3 (GCC bug 105329).
function(coracle_quiet_string_warnings target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-stringop-overflow -Wno-array-bounds
                           -Wno-maybe-uninitialized)
  endif()
endfunction()
