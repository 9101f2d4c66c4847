import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRepositoryPattern, matchesRepository } from '../../../src/content/repository-pattern.ts'

test('a star is one component, two at the end all that follows', () => {
  for (const [pattern, matching, others] of [
    ['team/nemo', ['team/nemo'], ['team', 'team/nemo/x', 'team/nem', 'Team/nemo', '']],
    ['team/*', ['team/nemo', 'team/a'], ['team', 'team/a/b', 'teams/a', '']],
    ['*/nemo', ['team/nemo'], ['nemo', 'a/b/nemo']],
    ['team/**', ['team/a', 'team/a/b/c'], ['team', 'teams/a', '']],
    ['*/x/**', ['a/x/b', 'a/x/b/c'], ['a/x', 'a/y/b']],
    ['**', ['a', 'a/b'], []],
  ] as const) {
    for (const repository of matching) assert.ok(matchesRepository(pattern, repository), `${pattern} ${repository}`)
    for (const repository of others) assert.ok(!matchesRepository(pattern, repository), `${pattern} ${repository}`)
  }
})

test('what could never stand for a repository is no pattern', () => {
  for (const good of ['a', 'a/*', '*', '**', 'a/**', '*/b_c/d--e']) assert.ok(isRepositoryPattern(good), good)
  for (const bad of ['', '/', 'a/', 'A', 'a/**/b', 'a*', '***', 'a:b', 'x'.repeat(256)]) {
    assert.ok(!isRepositoryPattern(bad), bad)
  }
})
