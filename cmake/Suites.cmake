# cmake -DPROGRAM=... -DFOLDER=... -DLABEL=... -DWITHOUT=... -DOUT=... -P Suites.cmake: writes for ctest the suites of a GoogleTest
# program, each a test, without the cases that the filter WITHOUT names. One process a suite: most cases take less time than to
# start the program.
execute_process(COMMAND "${PROGRAM}" --gtest_list_tests "--gtest_filter=-${WITHOUT}" WORKING_DIRECTORY "${FOLDER}"
                OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[A-Za-z0-9_/]+\\." suites "\n${listed}")
set(tests "")
foreach(suite ${suites})
  string(REGEX REPLACE "[\n.]" "" suite "${suite}")
  string(APPEND tests "add_test([==[${suite}]==] [==[${PROGRAM}]==] [==[--gtest_filter=${suite}.*-${WITHOUT}]==])\n"
         "set_tests_properties([==[${suite}]==] PROPERTIES WORKING_DIRECTORY [==[${FOLDER}]==] LABELS [==[${LABEL}]==] TIMEOUT 300)\n")
endforeach()
if(NOT tests)
  message(FATAL_ERROR "${PROGRAM}: no suites")
endif()
file(WRITE "${OUT}" "${tests}")
