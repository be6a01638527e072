-- +goose Up

-- So that the few requests that did not end well are found among millions that did.
CREATE INDEX requests_unusual ON requests (started_at, outcome) WHERE outcome <> 'ok';
