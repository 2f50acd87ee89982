# Warnings are errors; hardening as in docs/ARCHITECTURE.md.
option(CORACLE_WERROR "warnings are errors" ON)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wcast-qual
                    $<$<BOOL:${CORACLE_WERROR}>:-Werror>)

# g++ 12 warns of std::string's own operator+ when it optimises (GCC bug 105651).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options(-Wno-restrict)
endif()

if(CORACLE_SANITIZE)
  # Lines in stack traces, and no more. -O1 compiles as fast as -O0, and runs faster. With a
  # sanitizer g++ warns of what is not so (its manual, "-fsanitize"): the other builds judge.
  add_compile_options(-fsanitize=${CORACLE_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -O1 -g1 -Wno-error)
  # Shared, the one of UBSan would know nothing of log_path, which the one of ASan reads.
  add_link_options(-fsanitize=${CORACLE_SANITIZE} -static-libasan -static-libubsan -static-libtsan)
  set(CORACLE_SANITIZER_REPORTS ${CMAKE_BINARY_DIR}/sanitizer-reports)
  # The user of the tests of rootless containers reports, too.
  file(MAKE_DIRECTORY ${CORACLE_SANITIZER_REPORTS})
  file(CHMOD ${CORACLE_SANITIZER_REPORTS} PERMISSIONS
       OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_WRITE GROUP_EXECUTE
       WORLD_READ WORLD_WRITE WORLD_EXECUTE)
  set(CORACLE_STATIC OFF)
else()
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection
                      -ftrivial-auto-var-init=zero -ffunction-sections -fdata-sections)
  add_compile_definitions($<$<CONFIG:Release>:_FORTIFY_SOURCE=3> _GLIBCXX_ASSERTIONS)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections)
endif()
