import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ecrName, isAwsRegion, isAzureTenant, isGoogleTokenService } from '../../../src/content/clouds.ts'
import { registryProfile } from '../../../src/oci/facts/registry-profile.ts'

test('names of ECR tell region, FIPS and dual stack, and are known to be of ECR', () => {
  const plain = { open: false, fips: false, dualStack: false }
  for (const [host, told] of [
    ['123456789012.dkr.ecr.us-east-1.amazonaws.com', { ...plain, region: 'us-east-1' }],
    ['123456789012.DKR.ecr.us-east-1.amazonaws.com:443', { ...plain, region: 'us-east-1' }],
    ['123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com', { ...plain, region: 'us-gov-west-1', fips: true }],
    ['123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn', { ...plain, region: 'cn-north-1' }],
    ['123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu', { ...plain, region: 'eusc-de-east-1' }],
    ['123456789012.dkr-ecr.eu-central-1.on.aws', { ...plain, region: 'eu-central-1', dualStack: true }],
    ['public.ecr.aws', { ...plain, open: true, region: 'us-east-1' }],
  ] as const) {
    assert.deepEqual(ecrName(host), told, host)
    const name = host.toLowerCase().replace(':443', '')
    assert.equal(registryProfile(name).name, told.open ? 'ecr-public' : 'ecr', host)
    assert.ok(isAwsRegion(told.region), told.region)
  }
})

test('what only looks like a name of ECR is none', () => {
  for (const host of [
    '123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example',
    'evil.example.123456789012.dkr.ecr.us-east-1.amazonaws.com',
    '123456789012.dkr.ecr.us-east-1.amazonaws.com:5000',
    '123456789012.dkr.ecr.us-east-1.amazonaws.org',
    '12345.dkr.ecr.us-east-1.amazonaws.com',
    '123456789012.dkr.ecr.us.east.amazonaws.com',
    'xpublic.ecr.aws',
    'public.ecr.aws:5000',
    '127.0.0.1:5000',
    '',
  ]) {
    assert.equal(ecrName(host), undefined, host)
  }
})

test('regions and tenants have nothing in them that leads elsewhere', () => {
  for (const region of [
    'us-east-1/x',
    'us-east-1.evil.example',
    'us-east-1@x',
    'US-EAST-1',
    'evil',
    '',
    `us-${'x'.repeat(70)}-1`,
  ]) {
    assert.equal(isAwsRegion(region), false, region)
  }
  for (const tenant of ['../x', 'a/b', 'a?b', '.', '', 'a b', 'x'.repeat(200)])
    assert.equal(isAzureTenant(tenant), false)
  assert.ok(isAzureTenant('nemo.onmicrosoft.com'))
})

test('what a key of Google is signed for goes to Google, or stays on this machine', () => {
  const gar = 'europe-docker.pkg.dev'
  assert.ok(isGoogleTokenService('https://oauth2.googleapis.com/token', gar))
  assert.ok(isGoogleTokenService('https://accounts.google.com/o/oauth2/token', gar))
  assert.ok(isGoogleTokenService('http://127.0.0.1:8080/token', '127.0.0.1:5000'))
  assert.ok(isGoogleTokenService('http://[::1]:8080/token', 'localhost:5000'))
  for (const uri of [
    'http://oauth2.googleapis.com/token',
    'https://googleapis.com.evil.example/token',
    'https://evilgoogleapis.com/token',
    'https://oauth2.googleapis.com:8443/token',
    'https://user@oauth2.googleapis.com/token',
    'https://169.254.169.254/token',
    'http://127.0.0.1:8080/token',
    'ftp://127.0.0.1/token',
    'token',
  ]) {
    assert.equal(isGoogleTokenService(uri, gar), false, uri)
  }
})
