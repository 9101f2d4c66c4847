import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JOB_STATES, TERMINAL_STATES } from '../../../../src/jobs/model/definitions.ts'
import { TRANSITIONS, next } from '../../../../src/jobs/model/state.ts'

test('a terminal state leaves by retry alone, and success never', () => {
  for (const state of TERMINAL_STATES) {
    const moves = Object.entries(TRANSITIONS[state]).filter(([, to]) => to !== state)
    assert.deepEqual(moves, state === 'succeeded' ? [] : [['retry', 'queued']], state)
  }
})

test('every open state can be canceled', () => {
  for (const state of JOB_STATES.filter((state) => !TERMINAL_STATES.has(state))) {
    const to = next(state, { type: 'cancel' })
    assert.equal(to, state === 'running' || state === 'canceling' ? 'canceling' : 'canceled', state)
  }
})

test('once a cancel is asked for, a run ends canceled, or succeeded when it had already done everything', () => {
  for (const type of ['fail', 'delay', 'release', 'stall', 'stop', 'hold', 'begin'] as const) {
    assert.equal(next('canceling', { type }), 'canceled', type)
  }
  assert.equal(next('canceling', { type: 'succeed' }), 'succeeded')
})

test('a job begins only from where it waits, or from a lost worker', () => {
  const starting = JOB_STATES.filter((state) => next(state, { type: 'begin' }) === 'running')
  assert.deepEqual(starting, ['queued', 'scheduled', 'running', 'retrying'])
})

test('every state that is not final can be paused but one that is being canceled, and what rests goes on by resume alone', () => {
  for (const state of JOB_STATES.filter((state) => !TERMINAL_STATES.has(state))) {
    const to = next(state, { type: 'pause' })
    assert.equal(to, state === 'canceling' ? undefined : state === 'running' ? 'running' : 'paused', state)
  }
  assert.equal(next('paused', { type: 'resume' }), 'queued')
  for (const type of ['begin', 'retry', 'release'] as const) assert.equal(next('paused', { type }), undefined, type)
})
