# Runs one Spin model to the end: cmake -DMODEL=file.pml -DMUTANT=n -DDIR=build-dir -P spin.cmake
# Fails when an assertion breaks, an end state is invalid, or the search was not complete.
file(MAKE_DIRECTORY ${DIR})
execute_process(COMMAND spin -DMUTANT=${MUTANT} -a ${MODEL} WORKING_DIRECTORY ${DIR} RESULT_VARIABLE r
  OUTPUT_VARIABLE out ERROR_VARIABLE out)
if(r)
  message(FATAL_ERROR "spin did not accept ${MODEL}: ${out}")
endif()
execute_process(COMMAND ${CC} -O2 -w -DSAFETY -o pan pan.c WORKING_DIRECTORY ${DIR} RESULT_VARIABLE r)
execute_process(COMMAND ./pan -m1000000 WORKING_DIRECTORY ${DIR} OUTPUT_VARIABLE out ERROR_VARIABLE out)
string(REGEX MATCH "errors: [0-9]+" errors "${out}")
string(REGEX MATCH "[0-9]+ states, stored" states "${out}")
if(out MATCHES "max search depth too small" OR errors STREQUAL "")
  message(FATAL_ERROR "search was not complete: ${out}")
endif()
message("spin mutant ${MUTANT}: ${errors}; ${states}")
