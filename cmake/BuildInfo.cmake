# The build time is a lower bound for the clock (see docs/THREAT-MODEL.md): the time of the commit, so that equal
# sources give equal programs, or SOURCE_DATE_EPOCH, or else the time of configuring.
if(DEFINED ENV{SOURCE_DATE_EPOCH})
  set(QPCSEAL_BUILD_TIME "$ENV{SOURCE_DATE_EPOCH}")
else()
  execute_process(COMMAND git log -1 --format=%ct WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
                  OUTPUT_VARIABLE QPCSEAL_BUILD_TIME OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT QPCSEAL_BUILD_TIME MATCHES "^[0-9]+$")
  string(TIMESTAMP QPCSEAL_BUILD_TIME "%s" UTC)
endif()
