# One CASE of what train_task must do.
include("${CMAKE_CURRENT_LIST_DIR}/program_test.cmake")

# solve(<least ratio> <arguments>...): tiny versions of the tasks end so many times below the baseline.
macro(solve least)
  run(0 ${ARGN})
  string(REGEX REPLACE ".*\nratio +([0-9.]+) times.*" "\\1" ratio "${output}")
  if(NOT ratio GREATER_EQUAL ${least})
    message(FATAL_ERROR "${ratio} times below the baseline, expected ${least}")
  endif()
  expect_file("${FOLDER}/train_task_output/checkpoint.safetensors" "")
  file(READ "${FOLDER}/train_task_output/history.tsv" history)
  expect("${history}" "^epoch\tstep\t.*\n1\t")
endmacro()

set(delay --task delay --steps 64 --lag 8 --state-size 64 --dt-min 0.032 --dt-max 0.032 --samples 8000 --epochs 2)

if(CASE STREQUAL "delay")
  solve(20 ${delay})
  expect("${output}" "\nbaseline error +1 \\(mean squared error of a constant\\)\n")
  # Its checkpoint is that of a finished run: nothing is left to do, and the error is the same.
  string(REGEX MATCH "\nerror +[^\n]+\n" error "${output}")
  run(0 ${delay} --resume)
  expect("${output}" "\nresumed after epoch 2\n")
  string(REGEX MATCH "\nerror +[^\n]+\n" resumed_error "${output}")
  if(NOT error STREQUAL resumed_error)
    message(FATAL_ERROR "after --resume:${resumed_error}expected:${error}")
  endif()
  # The same by S4 with its low rank, trained as C~.
  solve(20 ${delay} --ssm s4)

elseif(CASE STREQUAL "adding")
  solve(20 --task adding --steps 32 --samples 50000 --epochs 2)

elseif(CASE STREQUAL "copying")
  solve(20 --task copying --blanks 5 --memory 4 --features 16 --state-size 32 --dt-min 0.08 --dt-max 0.08)
  expect("${output}" "\nsymbols recalled +100.00 % of 4000\nexact recall +100.00 % of the sequences\n")

elseif(CASE STREQUAL "reconstruction")
  solve(20 --task reconstruction --steps 64 --window 64 --cutoff 0.05 --features 16 --state-size 32 --dt-min 0.02
           --dt-max 0.02)

elseif(CASE STREQUAL "help")
  run(0 --help)
  foreach(option IN ITEMS task steps lag blanks memory symbols window cutoff ssm start features layers state-size dt-min
                          dt-max gates samples epochs batch test-samples lr ssm-lr weight-decay clip seed output-dir
                          resume)
    expect("${output}" "--${option}")
  endforeach()
  # The defaults are those of the task.
  expect("${output}" "--features [^\n]*=4 *\n")
  run(0 --task=copying --help)
  expect("${output}" "--features [^\n]*=32 *\n")

elseif(CASE STREQUAL "bad_options")
  run(1 --task juggling)
  expect("${errors}" "--task: juggling not in {delay,adding,copying,reconstruction}")
  run(1 --lag 64 --steps 64)
  expect("${errors}" "option lag must lie in \\[0, 64\\), found 64")
  expect_one_line("${errors}")
  run(1 --task reconstruction --cutoff 0.7)
  expect("${errors}" "option cutoff must lie in \\[0, 0.5\\], found 0.7")
  expect_one_line("${errors}")
  run(1 --task adding --steps 1)
  expect("${errors}" "option steps must be at least 2, found 1")
  expect_one_line("${errors}")
  run(1 --state-size 7)
  expect("${errors}" "state_size must be even and positive, found 7")
  expect_one_line("${errors}")
  run(1 --dt-min 0.1 --dt-max 0.01)
  expect("${errors}" "dt_max must be finite and at least dt_min = 0.1, found 0.01")
  expect_one_line("${errors}")
  run(1 --start zebra)
  expect("${errors}" "zebra")
  expect_one_line("${errors}")
  run(1 --lr much)
  expect("${errors}" "--lr")
  run(1 --resume --output-dir nothing_there)
  expect("${errors}" "checkpoint.safetensors")
  expect_one_line("${errors}")
else()
  message(FATAL_ERROR "unknown case ${CASE}")
endif()
