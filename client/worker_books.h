// WorkerBooks: what one load worker writes down in shared memory while it runs, so that the parent
// can show it live, and loses nothing when the worker is killed. One for each worker, made before
// the fork.
//
// Written by its worker alone, read by the parent at any time (see Counter). Zero memory is empty
// books.
#pragma once

#include "client/counter.h"
#include "client/latency_histogram.h"
#include "common/mp/raw_shared.h"

namespace forkecho::client {

struct WorkerBooks {
  // Of what was begun in the measured part.
  Counter connections_opened;
  Counter connections_refused;
  Counter connections_timed_out;
  Counter connections_reset;
  Counter connections_other;
  Counter requests_sent;
  Counter requests_completed;
  Counter requests_timed_out;
  Counter requests_reset;
  Counter requests_short;
  Counter requests_other;
  Counter replies_checked;
  Counter replies_mismatched;
  Counter replies_short;
  Counter replies_extra;
  // Open loop: of the plan, what was never sent.
  Counter shed_by_server;  // no connection had a free place for it in time
  Counter
      shed_by_generator;  // there was a place, and the worker came too late or could not connect
  Counter measured_bytes_out;  // of completed requests, and of their replies
  Counter measured_bytes_in;
  LatencyHistogram latency;    // from the intended start; in a closed loop that is the send
  LatencyHistogram from_send;  // open loop
  LatencyHistogram lag;        // open loop: from when a request could be sent to its send
  LatencyHistogram connect;
  LatencyHistogram first_byte;
  LatencyHistogram close;

  // Of the whole run.
  Counter total_connections;
  Counter total_requests;
  Counter total_bytes_out;
  Counter total_bytes_in;
  Counter ports_exhausted;        // connects that found no free local port
  Counter descriptors_exhausted;  // sockets that this process could not have
  Counter other_error;            // the last errno that is counted as "other"

  Counter ended;  // 1 when the worker has done all that it had to do

  // In nanoseconds; of the monotonic clock since its epoch, and of this worker's processor time.
  Counter last_outcome_ns;  // when a measured request was last completed or failed
  Counter measured_from_ns;
  Counter measured_until_ns;
  Counter cpu_from_ns;
  Counter cpu_until_ns;
  Counter run_wait_from_ns;  // that it was ready to run and had no processor
  Counter run_wait_until_ns;
  Counter machine_busy_from;  // of the processors that it may run on, in ticks of the kernel
  Counter machine_busy_until;
  Counter machine_all_from;
  Counter machine_all_until;
};

static_assert(mp::Shareable<WorkerBooks>);

}  // namespace forkecho::client
