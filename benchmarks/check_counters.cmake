# Fails unless the JSON files of the benchmarks have every row and counter that they promise, all finite.
#   cmake -D "RESULTS=<folder>/bench_fft.json;..." -P check_counters.cmake
cmake_minimum_required(VERSION 3.23)

# expect(<program> COUNTERS <names> ROWS <names>): in its JSON file, each row has each counter.
set(programs "")
function(expect program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "COUNTERS;ROWS")
  set(all ${programs} ${program})
  list(REMOVE_DUPLICATES all)
  set(programs ${all} PARENT_SCOPE)
  set(pairs ${expected_${program}})
  foreach(row IN LISTS arg_ROWS)
    foreach(counter IN LISTS arg_COUNTERS)
      list(APPEND pairs "${row}|${counter}")
    endforeach()
  endforeach()
  set(expected_${program} ${pairs} PARENT_SCOPE)
endfunction()

foreach(scalar IN ITEMS float double)
  foreach(length IN ITEMS 256 1024 4096 16384)
    expect(bench_fft COUNTERS gflops ROWS "BM_FftwPair<${scalar}>/L:${length}" "BM_FftwC2c<${scalar}>/L:${length}")
    foreach(backend IN ITEMS Fftw KissFft)
      expect(bench_fft COUNTERS gflops over_fftw_c2c
             ROWS "BM_FftPair<${scalar}, ${backend}>/L:${length}" "BM_FftC2c<${scalar}, ${backend}>/L:${length}")
      expect(bench_convolution COUNTERS over_fftw_pair ns_per_sample
             ROWS "BM_CausalConvolution<${scalar}, ${backend}>/B:1/H:256/L:${length}")
    endforeach()
    if(scalar STREQUAL "float")
      expect(bench_convolution COUNTERS over_fftw_pair ns_per_sample
             ROWS "BM_CausalConvolution<float, Fftw>/B:8/H:256/L:${length}")
    endif()
  endforeach()

  foreach(length IN ITEMS 1024 16384)
    foreach(batch IN ITEMS 1 8)
      expect(bench_convolution COUNTERS backward_over_forward ns_per_sample
             ROWS "BM_CausalConvolutionBackward<${scalar}, Fftw>/B:${batch}/H:256/L:${length}")
    endforeach()
    set(size "H:256/N:32/L:${length}")
    expect(bench_kernel COUNTERS fma_peak_fraction max_rel_error
           ROWS "BM_DiagonalKernel<${scalar}>/${size}" "BM_DplrKernel<${scalar}, Fftw>/${size}"
                "BM_DplrKernel<${scalar}, KissFft>/${size}")
    expect(bench_kernel COUNTERS over_cauchy_sums ROWS "BM_DplrKernel<${scalar}, Fftw>/${size}")
    expect(bench_kernel COUNTERS vjp_over_forward
           ROWS "BM_DiagonalKernelVjp<${scalar}>/${size}" "BM_CauchySumsVjp<${scalar}>/${size}"
                "BM_DplrKernelVjp<${scalar}, Fftw>/${size}")
    expect(bench_kernel COUNTERS fma_peak_fraction ROWS "BM_CauchySums<${scalar}>/${size}")
    expect(bench_recurrence COUNTERS fma_peak_fraction ns_per_step x_realtime_48k
           ROWS "BM_DiagonalScan<${scalar}>/${size}" "BM_DplrScan<${scalar}>/${size}")
  endforeach()
  expect(bench_recurrence COUNTERS l2_bandwidth_fraction ns_per_step x_realtime_48k
         ROWS "BM_DiagonalStep<${scalar}>/H:256/N:32" "BM_DplrStep<${scalar}>/H:256/N:32")
endforeach()

expect(bench_training
       COUNTERS samples_per_second peak_memory_mbytes over_bare bare_gemm bare_fft share_kernel share_convolution
                share_mixing share_pointwise share_optimiser share_rest shares_total
       ROWS "BM_TrainingStep<S4D>/B:50/H:128/N:32/L:784" "BM_TrainingStep<DPLR>/B:50/H:128/N:32/L:784/kernel_length:784"
            "BM_TrainingStep<DPLR>/B:50/H:128/N:32/L:784/kernel_length:0")

# The online memories, where their program was built.
if(RESULTS MATCHES "bench_hippo")
  set(counters COUNTERS samples_per_second)
  foreach(size IN ITEMS H:16/N:64 H:16/N:256 H:64/N:256)
    foreach(memory IN ITEMS "Scan<float, s4::Bilinear>" "Scan<float, s4::Euler>" "Scan<float, s4::BackwardEuler>"
                            "Scan<float, s4::ZeroOrderHold>" "Scan<double, s4::Bilinear>"
                            "Scan<double, s4::ZeroOrderHold>" "Step<float, s4::Bilinear>"
                            "Step<float, s4::ZeroOrderHold>")
      expect(bench_hippo ${counters} ROWS "BM_LegsMemory${memory}/${size}/seen:1000000")
    endforeach()
    foreach(memory IN ITEMS "float, s4::LegT" "float, s4::LegS" "float, s4::Fourier" "double, s4::LegT")
      expect(bench_hippo ${counters} ROWS "BM_HippoMemoryScan<${memory}>/${size}")
    endforeach()
  endforeach()
  foreach(seen IN ITEMS 100 100000)
    foreach(memory IN ITEMS Scan<float Scan<double Step<float)
      expect(bench_hippo ${counters} ROWS "BM_LegsMemory${memory}, s4::ZeroOrderHold>/H:16/N:256/seen:${seen}")
    endforeach()
  endforeach()
endif()

# What every file says about the machine.
set(limits fma_peak_float_gflops fma_peak_double_gflops l1_read_gbytes_per_second l2_read_gbytes_per_second
    dram_read_gbytes_per_second clock_ghz compiler flags instructions)

set(problems "")
set(found_programs "")
foreach(file IN LISTS RESULTS)
  cmake_path(GET file STEM program)
  list(APPEND found_programs "${program}")
  if(NOT EXISTS "${file}")
    list(APPEND problems "${file} was not written")
    continue()
  endif()
  file(READ "${file}" json)
  # JSON has no such numbers, so this comes before reading it as JSON.
  string(REGEX MATCHALL "\"[^\"\n]*\": *-?([nN][aA][nN]|[iI]nf)[a-z]*" not_finite "${json}")
  if(not_finite)
    list(APPEND problems "${program}: not finite: ${not_finite}")
    continue()
  endif()

  foreach(limit IN LISTS limits)
    string(JSON value ERROR_VARIABLE missing GET "${json}" context "${limit}")
    if(missing)
      list(APPEND problems "${program}: the context lacks ${limit}")
    endif()
  endforeach()

  string(JSON count LENGTH "${json}" benchmarks)
  set(rows "")
  if(count EQUAL 0)
    list(APPEND problems "${program}: no rows")
  else()
    math(EXPR last "${count} - 1")
    foreach(index RANGE ${last})
      string(JSON row GET "${json}" benchmarks ${index} name)
      string(JSON failure ERROR_VARIABLE fine GET "${json}" benchmarks ${index} error_message)
      if(NOT fine)
        list(APPEND problems "${program}: ${row}: ${failure}")
      endif()
      list(APPEND rows "${row}")
    endforeach()
  endif()
  foreach(pair IN LISTS expected_${program})
    string(REGEX MATCH "^(.*)\\|(.*)$" pair "${pair}")
    set(row "${CMAKE_MATCH_1}")
    set(counter "${CMAKE_MATCH_2}")
    list(FIND rows "${row}" index)
    if(index EQUAL -1)
      list(APPEND problems "${program}: no row ${row}")
      continue()
    endif()
    string(JSON type ERROR_VARIABLE missing TYPE "${json}" benchmarks ${index} "${counter}")
    if(NOT type STREQUAL "NUMBER")
      list(APPEND problems "${program}: ${row} lacks ${counter}")
    endif()
  endforeach()
endforeach()

foreach(program IN LISTS programs)
  if(NOT program IN_LIST found_programs)
    list(APPEND problems "${program} was not run")
  endif()
endforeach()

if(problems)
  list(REMOVE_DUPLICATES problems)
  list(JOIN problems "\n  " text)
  message(FATAL_ERROR "Benchmarks:\n  ${text}")
endif()
list(LENGTH found_programs count)
message(STATUS "Benchmarks: every row and counter of ${count} programs is there, and finite")
