option(QPCSEAL_UNITY_BUILD "Compile the sources of a folder some at a time: five times as fast" ON)
option(QPCSEAL_QUICK_COMPILE "Compile commands and tests without optimisation" OFF)
function(qpcseal_quick_compile name)
  if(QPCSEAL_QUICK_COMPILE)
    target_compile_options(${name} PRIVATE -O0 -U_FORTIFY_SOURCE)
  endif()
endfunction()

option(QPCSEAL_PRECOMPILE "Precompile what nearly every source includes of others; with clang alone" OFF)
# The precompiled header of a kind of target: library, program or test. Those of one kind have the same flags, as it needs;
# -pthread some have by what they link, and so all.
function(qpcseal_precompile name kind)
  if(NOT QPCSEAL_PRECOMPILE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    return()
  endif()
  set(shared qpcseal_precompiled_${kind})
  if(NOT TARGET ${shared})
    file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/precompiled.cpp" CONTENT "")
    add_library(${shared} OBJECT "${PROJECT_BINARY_DIR}/precompiled.cpp")
    target_link_libraries(${shared} PRIVATE qpcseal_flags nlohmann_json::nlohmann_json)
    target_compile_options(${shared} PRIVATE -pthread "SHELL:-Xclang -fno-pch-timestamp")  # or ccache finds nothing
    set(headers <algorithm> <filesystem> <functional> <map> <memory> <optional> <set> <span> <string> <vector> <nlohmann/json.hpp>)
    if(kind STREQUAL "program")
      list(APPEND headers <CLI/CLI.hpp>)
    elseif(kind STREQUAL "test")
      target_link_libraries(${shared} PRIVATE GTest::gmock)
      list(APPEND headers <gmock/gmock.h> <gtest/gtest.h>)
    endif()
    if(NOT kind STREQUAL "library")
      set_target_properties(${shared} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${shared} PRIVATE -fPIE)
      qpcseal_quick_compile(${shared})
    endif()
    target_precompile_headers(${shared} PRIVATE ${headers})
  endif()
  target_precompile_headers(${name} REUSE_FROM ${shared})
  target_compile_options(${name} PRIVATE -pthread)
endfunction()

# qpcseal_library(NAME [PUBLIC targets...] [PRIVATE targets...]): a static library from the *.cpp files of this
# folder. qpcseal_test(NAME SOURCES... LINKS targets... [LONG filter]): a GoogleTest program, each of its suites a ctest;
# each case that the filter names is one of its own, with the label long.
function(qpcseal_library name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_library(${name} STATIC ${sources})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${QPCSEAL_UNITY_BUILD})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_SOURCE_DIR}/lib")
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE qpcseal_flags ${ARG_PRIVATE})
  qpcseal_precompile(${name} library)
endfunction()

# qpcseal_program(NAME targets...): a program from the *.cpp files of this folder and those below it, in bin/ of
# the build folder, with its man page; both are installed.
function(qpcseal_program name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE qpcseal_flags qpcseal_lib_cli Threads::Threads ${ARGN})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${QPCSEAL_UNITY_BUILD}
                                           RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  qpcseal_quick_compile(${name})
  qpcseal_precompile(${name} program)
  install(TARGETS ${name} RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  qpcseal_manual(${name})
endfunction()

# The man page of a program, out of its own command tree; with a command that has commands, that one's. A page
# whose name a program has gets another.
function(qpcseal_manual program)
  list(JOIN ARGN "-" words)
  string(JOIN "-" name ${program} ${words})
  if(ARGN AND name STREQUAL "qpcseal-attest")
    string(APPEND name "-commands")
  endif()
  set(page "${PROJECT_BINARY_DIR}/manual/${name}.1")
  add_custom_command(TARGET ${program} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory "${PROJECT_BINARY_DIR}/manual"
    COMMAND sh -c "page=\"$1\"; shift; \"$0\" \"$@\" --man >\"$page\"" "$<TARGET_FILE:${program}>" "${page}" ${ARGN}
    BYPRODUCTS "${page}"
    VERBATIM)
  install(FILES "${page}" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
endfunction()

# Completion for the shells that `program` writes scripts for, under the names that they look for.
function(qpcseal_completion program)
  set(dir "${PROJECT_BINARY_DIR}/completion")
  set(made "")
  foreach(shell bash zsh fish)
    list(APPEND made COMMAND sh -c "\"$0\" completion \"$1\" >\"$2\"" "$<TARGET_FILE:${program}>" "${shell}" "${dir}/${shell}")
  endforeach()
  add_custom_command(TARGET ${program} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory "${dir}" ${made}
    BYPRODUCTS "${dir}/bash" "${dir}/zsh" "${dir}/fish"
    VERBATIM)
  foreach(name ${ARGN})
    install(FILES "${dir}/bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME "${name}")
    install(FILES "${dir}/fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d" RENAME "${name}.fish")
  endforeach()
  install(FILES "${dir}/zsh" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" RENAME "_${program}")
endfunction()

function(qpcseal_test name)
  cmake_parse_arguments(ARG "" "LABEL;LONG" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE qpcseal_flags ${ARG_LINKS} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${QPCSEAL_UNITY_BUILD})
  qpcseal_quick_compile(${name})
  qpcseal_precompile(${name} test)
  if(NOT ARG_LABEL)
    set(ARG_LABEL unit)
  endif()
  if(ARG_LONG)
    gtest_discover_tests(${name} TEST_FILTER "${ARG_LONG}" DISCOVERY_TIMEOUT 60 PROPERTIES LABELS long TIMEOUT 300)
  endif()
  set(suites "${CMAKE_CURRENT_BINARY_DIR}/${name}_suites.cmake")
  add_custom_command(TARGET ${name} POST_BUILD
    COMMAND ${CMAKE_COMMAND} "-DPROGRAM=$<TARGET_FILE:${name}>" "-DFOLDER=${CMAKE_CURRENT_BINARY_DIR}" "-DLABEL=${ARG_LABEL}"
            "-DWITHOUT=${ARG_LONG}" "-DOUT=${suites}" -P "${PROJECT_SOURCE_DIR}/cmake/Suites.cmake"
    BYPRODUCTS "${suites}"
    VERBATIM)
  file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${name}_built.cmake" @ONLY CONTENT
"if(EXISTS \"@suites@\")
  include(\"@suites@\")
else()
  add_test(@name@_NOT_BUILT @name@_NOT_BUILT)
endif()
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${CMAKE_CURRENT_BINARY_DIR}/${name}_built.cmake")
endfunction()
