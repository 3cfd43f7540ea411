# Warnings, hardening and sanitizer flags, each probed; all of them in one interface target.
include(CheckCXXCompilerFlag)
include(CheckLinkerFlag)
add_library(qpcseal_flags INTERFACE)

function(qpcseal_probe_compile flag)
  string(MAKE_C_IDENTIFIER "HAVE_CXX${flag}" variable)
  check_cxx_compiler_flag("${flag}" ${variable})
  if(${variable})
    target_compile_options(qpcseal_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${flag}>")
  endif()
endfunction()

function(qpcseal_probe_link flag)
  string(MAKE_C_IDENTIFIER "HAVE_LINK${flag}" variable)
  check_linker_flag(CXX "${flag}" ${variable})
  if(${variable})
    target_link_options(qpcseal_flags INTERFACE "${flag}")
  endif()
endfunction()

foreach(flag -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Wold-style-cast
        -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wundef)
  qpcseal_probe_compile(${flag})
endforeach()
option(QPCSEAL_WERROR "Warnings are errors; packagers of another compiler switch it off" ON)
if(QPCSEAL_WERROR)
  qpcseal_probe_compile(-Werror)
endif()
# Equal sources give equal programs, wherever they lie.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  qpcseal_probe_compile("-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
endif()

if(QPCSEAL_SANITIZE)
  target_compile_options(qpcseal_flags INTERFACE -fsanitize=${QPCSEAL_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all)
  target_link_options(qpcseal_flags INTERFACE -fsanitize=${QPCSEAL_SANITIZE})
else()
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection=full
          -ftrivial-auto-var-init=zero -fno-delete-null-pointer-checks -fno-strict-overflow)
    qpcseal_probe_compile(${flag})
  endforeach()
  target_compile_definitions(qpcseal_flags INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=3> _GLIBCXX_ASSERTIONS)
  foreach(flag -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code -Wl,--as-needed)
    qpcseal_probe_link(${flag})
  endforeach()
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()
