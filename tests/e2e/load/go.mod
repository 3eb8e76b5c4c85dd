module kubering.test/load

go 1.26.0
