// FORKECHO_MP_STEP("queue.put.copied") names a moment inside an operation at which a process may be
// killed with consequences of its own. Test builds (FORKECHO_MP_STEPS) call an observer there,
// which kills the process that was chosen (tests/support/kill_at_step.h); in every other build a
// step is nothing at all.
//
// A step's name is "component.operation.moment". Every one must be reached by a test in
// tests/crash/mp: tests/crash/mp/steps_test.py reads the sources and compares.
#pragma once

#ifdef FORKECHO_MP_STEPS

namespace forkecho::mp {

/// Called with the name of each step that the process comes to; empty until a test sets it. Private
/// to the process (a child begins with its parent's); not safe between threads while it is set.
inline void (*step_observer)(const char* step) = nullptr;

inline void reach_step(const char* step) {
  if (step_observer != nullptr) step_observer(step);
}

}  // namespace forkecho::mp

#define FORKECHO_MP_STEP(name) ::forkecho::mp::reach_step(name)

#else

#define FORKECHO_MP_STEP(name) static_cast<void>(0)

#endif
